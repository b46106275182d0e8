require ["envelope", "envelope-dsn", "envelope-deliverby", "subaddress", "relational", "regex", "variables", "duplicate", "spamtestplus",
"virustest", "date", "index", "environment", "mboxmetadata", "servermetadata", "mailbox", "mailboxid", "special-use", "enotify",
"comparator-i;unicode-casemap", "comparator-i;ascii-numeric", "extlists", "imap4flags"];
if anyof (envelope :detail :is ["from", "to"] "x", envelope :count "ge" "notify" "1", address :list "from" "tag:x",
 header :regex ["from", "subject"] ["^(a|b)+[[:alpha:]]{2,3}$", "[]x-]"], header :comparator "i;unicode-casemap" :contains :index 2 :last "x" "É",
 string :value "lt" :comparator "i;ascii-numeric" ["${a}", "${1}"] "10", duplicate :handle "h" :uniqueid "${a}" :seconds 60 :last,
 spamtest :percent :value "gt" "10", virustest "1", date :zone "+0100" "date" "iso8601" "x", date :originalzone :index 1 "received" "julian" "1",
 currentdate :matches "std11" "*", environment :contains "name" "", metadata "INBOX" "/private/x" "y", servermetadataexists "/shared/x",
 mailboxexists ["a", "b"], mailboxidexists "F1", specialuse_exists "x" ["\\Junk"], valid_notify_method "mailto:a@b.example",
 notify_method_capability "mailto:a@b.example" "online" "maybe", valid_ext_list "tag:x", hasflag :contains ["a"] ["b"], exists ["from"], size :under 1K)
{ set :length :lower "a" "x"; }
