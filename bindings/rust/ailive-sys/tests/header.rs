//! The declarations say what the header says: constants and functions against its text, structs against what the C
//! compiler makes of it (`rust_layout`, named in `$AILIVE_LAYOUT`).
use ailive_sys as sys;
use std::collections::{BTreeMap, BTreeSet};
use std::mem::{size_of, MaybeUninit};
use std::process::Command;
use std::ptr::addr_of;

const HEADER: &str = include_str!("../../../../sdk/include/ailive/ailive.h");
const OURS: &str = include_str!("../src/lib.rs");

/// Words of a text: runs of letters, digits and underscores.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

/// `NAME = n` of the header's enumerations and `#define NAME n` with a number.
fn header_constants() -> BTreeMap<String, i64> {
    let mut found = BTreeMap::new();
    for line in HEADER.lines() {
        let line = line.trim();
        let pair = match line.strip_prefix("#define ") {
            Some(rest) => rest.split_once(' '),
            None if line.starts_with("AILIVE_") => line.split_once(" = "),
            None => None,
        };
        if let Some((name, value)) = pair {
            let value = value.trim().trim_start_matches("((ailive_name)");
            let digits: String = value.chars().take_while(|c| c.is_ascii_digit() || *c == '-').collect();
            if let Ok(number) = digits.parse() {
                found.insert(name.trim().to_string(), number);
            }
        }
    }
    found
}

/// `pub const NAME: type = n;` of ours.
fn our_constants() -> BTreeMap<String, i64> {
    let mut found = BTreeMap::new();
    for line in OURS.lines() {
        let declaration = line.strip_prefix("pub const ").and_then(|rest| rest.split_once(" = "));
        if let Some((name, value)) = declaration {
            if let Ok(number) = value.trim_end_matches(';').parse() {
                found.insert(name.split(':').next().unwrap().to_string(), number);
            }
        }
    }
    found
}

#[test]
fn every_constant_has_the_headers_value() {
    let header = header_constants();
    let ours = our_constants();
    assert!(ours.len() > 40, "{:?}", ours);
    for (name, value) in &ours {
        assert_eq!(header.get(name), Some(value), "{}", name);
    }
    for (name, value) in &header {
        // Version, slots and clocks are the header's own affair.
        let internal = ["AILIVE_VERSION", "AILIVE_SLOT", "AILIVE_CLOCK"].iter().any(|p| name.starts_with(p));
        assert!(internal || ours.contains_key(name), "{} = {} is missing", name, value);
    }
}

#[test]
fn every_exported_function_is_declared() {
    let exported: BTreeSet<&str> = HEADER
        .split("AILIVE_API ")
        .skip(1)
        .filter(|declaration| !declaration.starts_with("__thread"))
        .filter_map(|declaration| declaration.split_once('('))
        .filter_map(|(head, _)| words(head).filter(|w| w.starts_with("ailive_")).last())
        .filter(|name| *name != "ailive_record_slow") // the inline calls' alone
        .collect();
    assert!(exported.len() >= 11, "{:?}", exported);
    for name in exported {
        assert!(OURS.contains(&format!("pub fn {}(", name)), "{} is missing", name);
    }
}

macro_rules! fields {
    ($found:ident, $type:ident, $($field:ident)*) => {
        $found.insert(stringify!($type).to_string(), size_of::<sys::$type>() as u64);
        let value = MaybeUninit::<sys::$type>::uninit();
        let start = value.as_ptr();
        // Only addresses are taken; nothing uninitialised is read.
        $($found.insert(format!("{}.{}", stringify!($type), stringify!($field)),
            unsafe { addr_of!((*start).$field) as u64 } - start as u64);)*
    };
}

#[test]
fn structs_and_words_are_laid_out_as_in_c() {
    let program = std::env::var("AILIVE_LAYOUT").expect("AILIVE_LAYOUT names the program rust_layout");
    let out = Command::new(program).output().unwrap();
    let theirs: BTreeMap<String, u64> = String::from_utf8(out.stdout)
        .unwrap()
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, number)| (name.to_string(), number.parse().unwrap()))
        .collect();
    let mut ours = BTreeMap::new();
    fields!(ours, ailive_options, size component run_id ipc_url runtime_dir spool_dir ring_records spool_after_ms
        spool_file_bytes spool_max_bytes log log_context tls_cert tls_ca remote_plaintext memory_sink);
    fields!(ours, ailive_stats, recorded dropped_full dropped_ring ignored shipped spooled dropped_spool pending
        spool_bytes wakeups rings connected);
    fields!(ours, ailive_record, kind decision action reason stage component run_id time_ns latency_ns);
    ours.insert("what".to_string(), sys::ailive_what(3, 2, 5, 0x1234, 0xfedc));
    ours.insert("scope".to_string(), sys::ailive_scope_word(11, 12));
    assert_eq!(ours, theirs);
}
