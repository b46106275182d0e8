require ["imapflags", "notify", "include", "variables", "vnd.dovecot.duplicate", "vnd.dovecot.pipe", "vnd.dovecot.filter", "vnd.dovecot.execute",
"foreverypart", "mime", "body", "editheader", "replace", "enclose", "extracttext", "vnd.dovecot.environment"];
import "a"; mark; unmark; setflag "x"; notify :method "mailto" :id "i" :low :options "a@b.example" :message "$from$ $text[5]$"; denotify :matches "i*" :low;
if duplicate :value "x" {} pipe :try "p" ["a"]; if filter "f" {} execute :input "${env.name}" :output "o" "e";
foreverypart :name "n" { if header :mime :anychild :type "content-type" "text" { break :name "n"; } extracttext :first 5 "o"; replace :mime "x"; }
enclose :subject "s" :headers ["X: y"] "t"; addheader :last "X-A" "b"; deleteheader :index 1 :last :contains "X-A" ["b"]; if body :content "text" :contains "x" { return; }
