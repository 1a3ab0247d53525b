//! `egret logs`: the log of a job, and what is added to it (contract A.4).

use std::io::Write as _;
use std::time::Duration;

use super::api::{Api, ApiError};
use super::arguments::Logs;
use super::is_final;

/// Time between two looks for more.
const LOOK: Duration = Duration::from_millis(500);

/// Prints a log; gives the exit status.
pub fn logs(arguments: &Logs) -> Result<u8, ApiError> {
    let api = Api::new(&arguments.node)?;
    let path = format!("/log/job-{}.log", arguments.id);
    let mut printed = 0;
    loop {
        // Asked before the log is read, so that nothing is missed of a job that ends meanwhile.
        let over = !arguments.follow || api.job(arguments.id)?.is_none_or(|job| is_final(job.state()));
        if printed == 0 || api.length(&path)?.1 != Some(printed) {
            let answer = api.get(&path)?;
            let is_there = answer.status == 200;
            // A job that was accepted just now may have no log yet.
            if !is_there && over {
                return Err(missing(&api, arguments.id)?);
            }
            if is_there && !print(fresh(&answer.body, &mut printed)) {
                return Ok(0);
            }
        }
        if over {
            return Ok(0);
        }
        std::thread::sleep(LOOK);
    }
}

/// What has not been printed. A log that is shorter than before has begun anew.
fn fresh<'a>(log: &'a [u8], printed: &mut u64) -> &'a [u8] {
    let from = usize::try_from(*printed).ok().filter(|from| *from <= log.len()).unwrap_or(0);
    *printed = log.len() as u64;
    &log[from..]
}

fn missing(api: &Api, id: i64) -> Result<ApiError, ApiError> {
    api.known_job(id)?;
    Ok(ApiError::Here(format!(
        "the node at {} has no log of job {id}: it was removed, or is not kept there",
        api.url()
    )))
}

/// Prints; false when nobody reads any more.
fn print(text: &[u8]) -> bool {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text).and_then(|()| stdout.flush()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_added_is_printed_and_a_new_log_from_its_beginning() {
        let mut printed = 0;
        assert_eq!(fresh(b"one\n", &mut printed), b"one\n");
        assert_eq!(fresh(b"one\ntwo\n", &mut printed), b"two\n");
        assert_eq!(fresh(b"one\ntwo\n", &mut printed), b"");
        assert_eq!(fresh(b"new\n", &mut printed), b"new\n");
    }
}
