//! Times as the wire has them: `yyyy-MM-dd HH:mm:ss` in the node's time zone (contract A.3).

use std::fmt::Write;
use std::mem::MaybeUninit;

/// Reads the time zone (`TZ`, `/etc/localtime`) once, so that no request does.
pub(crate) fn load_zone() {
    unsafe extern "C" {
        fn tzset();
    }
    // SAFETY: tzset(3) has no arguments and is thread-safe against localtime_r(3). It reads the environment, as does
    // every localtime_r; the program changes its environment nowhere.
    unsafe { tzset() }
}

/// Appends a time given in milliseconds since 1970.
pub(crate) fn write(out: &mut String, millis: i64) {
    let seconds: libc::time_t = millis.div_euclid(1000);
    let mut parts = MaybeUninit::<libc::tm>::uninit();
    // SAFETY: both pointers are to live memory of the right type; localtime_r fills `parts` where it does not answer
    // with null.
    let parts = unsafe {
        if libc::localtime_r(&raw const seconds, parts.as_mut_ptr()).is_null() {
            None
        } else {
            Some(parts.assume_init())
        }
    };
    // A year that does not fit is no time of a job.
    let Some(time) = parts else { return };
    let _ = write!(
        out,
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        i64::from(time.tm_year) + 1900,
        time.tm_mon + 1,
        time.tm_mday,
        time.tm_hour,
        time.tm_min,
        time.tm_sec
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Local, TimeZone};

    #[test]
    fn times_are_local_and_to_the_second() {
        load_zone();
        for millis in [0, 999, 1_000, 1_718_000_000_123, -1] {
            let mut text = String::new();
            write(&mut text, millis);
            let expected = Local.timestamp_millis_opt(millis).single().expect("a time");
            assert_eq!(text, expected.format("%Y-%m-%d %H:%M:%S").to_string());
        }
    }
}
