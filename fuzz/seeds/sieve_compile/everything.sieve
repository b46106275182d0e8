require ["fileinto", "variables", "encoded-character", "regex", "relational", "comparator-i;ascii-numeric", "imap4flags",
  "date", "index", "vacation", "include", "ihave", "duplicate", "enotify", "mailbox", "envelope", "subaddress", "copy"];
# A comment.
if anyof (header :matches ["Subject", "X-A"] "*[*]*", not address :user "from" "ann") {
  set :upperfirst "name" "${1} ${hex:40}";
  fileinto :create :flags ["\\Seen", "$x"] "Lists/${name}";
} elsif size :over 10K {
  redirect :copy "a@b.example";
} else {
  vacation :days 7 :subject "away" text:
Gone.
..
.
;
}
/* More. */
if ihave "nonsense" { nonsense; }
if header :value "gt" :comparator "i;ascii-numeric" :index 1 :last "x" "5" { stop; }
global "g"; include :once :optional "more";
