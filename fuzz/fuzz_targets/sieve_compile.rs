//! Scripts that people upload: any octets are compiled or refused with faults that have a place; what is printed is the
//! same program.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sieve::{Dialect, Extension, FAULTS_MAX, compile};

fuzz_target!(|octets: &[u8]| {
    let mut dialect = Dialect::default()
        .with(Extension::DovecotPipe)
        .with(Extension::DovecotFilter)
        .with(Extension::DovecotExecute);
    // Expressions that are slow to make ready say nothing new.
    dialect.bounds.regex_octets_max = 1 << 14;
    match compile(octets, &dialect) {
        Ok(script) => {
            let printed = script.print();
            match compile(printed.as_bytes(), &dialect) {
                Ok(again) => assert!(again.is_same_program(&script), "{printed}"),
                Err(faults) => panic!("{printed}\n{faults:?}"),
            }
        }
        Err(faults) => {
            assert!(!faults.is_empty() && faults.len() <= FAULTS_MAX);
            assert!(faults.iter().all(|fault| fault.place.line > 0 && fault.place.column > 0));
            assert!(faults.iter().all(|fault| !fault.words.contains(['\r', '\n'])));
        }
    }
});
