require ["reject", "ereject", "vacation-seconds", "fcc", "mailbox", "special-use", "mailboxid", "imap4flags", "fileinto",
"copy", "redirect-dsn", "redirect-deliverby", "extlists", "enotify", "vnd.dovecot.report", "vnd.dovecot.debug", "ihave"];
if false { reject "no"; } if false { ereject text:
no
.
; }
vacation :seconds 60 :fcc "Sent" :create :flags "\\Seen" :from "a@b.example" :addresses ["c@d.example"] :mime :handle "h" "x";
fileinto :copy :create :specialuse "\\Junk" :mailboxid "F1" :flags ["a b", "\\Flagged"] "x/y";
redirect :copy :notify "NEVER" :ret "HDRS" :bytimerelative 60 :bymode "notify" :bytrace "A <a@b.example>";
redirect :list :copy "tag:x";
notify :from "a@b.example" :importance "2" :options ["a=b"] :message "m" "mailto:a@b.example?subject=%20x&cc=c@d.example";
report :headers_only "abuse" "m" "a@b.example"; debug_log "x"; keep :flags "x"; error "y";
