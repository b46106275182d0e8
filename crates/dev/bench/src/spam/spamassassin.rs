//! Debian's SpamAssassin as a library in one Perl process, rules as shipped without network, Bayes trained on the same mail.

use std::process::{Command, Stdio};

use anyhow::Context;

use super::corpus::Letter;
use super::scores::Run;
use super::{paired, write_list};

/// Its `required_score` as shipped.
const SPAM_FROM: f64 = 5.0;

/// Learns two lists, judges a third; the last line is CPU seconds of judging and peak memory in KiB.
const SCRIPT: &str = r#"
use strict; use warnings; use Mail::SpamAssassin;
my $dir = $ARGV[0];
my $sa = Mail::SpamAssassin->new({ local_tests_only => 1, dont_copy_prefs => 1, userprefs_filename => "$dir/prefs",
    rules_filename => "/usr/share/spamassassin", site_rules_filename => "/etc/spamassassin", userstate_dir => $dir });
$sa->init(1);
sub octets { my $path = shift; local $/; open(my $in, '<:raw', $path) or die "$path: $!"; my $all = <$in>; return $all }
sub lines { my $path = shift; open(my $in, '<', $path) or die; chomp(my @lines = <$in>); return grep { length } @lines }
$sa->init_learner({ wait_for_lock => 1 });
for my $kind (['spam', 1], ['ham', 0]) {
    for my $path (lines("$dir/$kind->[0]")) {
        my $mail = $sa->parse(octets($path));
        $sa->learn($mail, undef, $kind->[1], 0)->finish; $mail->finish;
    }
}
$sa->rebuild_learner_caches; $sa->finish_learner;
my ($user, $system) = times;
for my $path (lines("$dir/judge")) {
    my $mail = $sa->parse(octets($path));
    my $status = $sa->check($mail);
    print $status->get_score, "\n";
    $status->finish; $mail->finish;
}
my ($after, $after_system) = times;
my ($peak) = octets("/proc/self/status") =~ /VmHWM:\s+(\d+)/;
print STDERR "figures ", $after + $after_system - $user - $system, " $peak\n";
"#;

pub(super) fn batch(train: &[&Letter], test: &[&Letter]) -> anyhow::Result<Run> {
    let directory = tempfile::tempdir()?;
    let place = |name: &str| directory.path().join(name);
    write_list(&place("spam"), train.iter().copied().filter(|letter| letter.is_spam))?;
    write_list(&place("ham"), train.iter().copied().filter(|letter| !letter.is_spam))?;
    write_list(&place("judge"), test.iter().copied())?;
    std::fs::write(place("script"), SCRIPT)?;
    std::fs::write(
        place("prefs"),
        format!("use_bayes 1\nbayes_auto_learn 0\nbayes_path {}\n", place("bayes").display()),
    )?;
    let output = Command::new("perl")
        .arg(place("script"))
        .arg(directory.path())
        .stdin(Stdio::null())
        .output()
        .context("starting perl")?;
    let told = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{told}");
    let figures = told.lines().find_map(|line| line.strip_prefix("figures ")).context("no figures")?;
    let (cpu, peak) = figures.split_once(' ').context("no figures")?;
    Ok(Run {
        filter: "spamassassin",
        way: "batch",
        spam_from: SPAM_FROM,
        scores: paired(&String::from_utf8_lossy(&output.stdout), test)?,
        cpu_seconds: cpu.parse::<f64>()? * 1_000.0 / test.len().max(1) as f64,
        peak_mib: Some(peak.parse::<f64>()? / 1024.0),
    })
}
