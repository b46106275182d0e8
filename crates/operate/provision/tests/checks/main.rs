//! A site compared with a world of names on loopback: one where all is right, and one for each thing that goes wrong.

mod domain;
mod host;
mod place;
