//! mailstead: one program that gives people back their e-mail.
//!
//! Here stand the command line ([`cli`]), the settings ([`settings`]), what an operator may ask ([`admin`]) and the
//! one place that knows who gets what ([`wire`]).

mod admin;
mod bans;
mod cli;
mod content;
mod filters;
mod house;
mod keys;
mod known;
mod quarantine;
mod reports;
mod rights;
mod scripts;
mod settings;
mod shown;
mod way;
mod wire;

fn main() -> std::process::ExitCode {
    platform::memory::give_back_large_blocks();
    cli::run()
}
