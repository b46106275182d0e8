//! mailstead: one program that gives people back their e-mail.
mod settings;
fn main() {}
