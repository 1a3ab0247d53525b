//! running-threads and thread-dump (contract A.4).

use std::time::Duration;

use egret_collectors::{Part, ThreadStack};
use egret_runtime::shard::{give_way, sleep};
use futures_lite::future::or;

use super::SeaTunnel;
use crate::json::JsonBuffer;
use crate::reply::Reply;

/// What stands for the class loader: there is none, and programs read it as a text.
const CLASS_LOADER: &str = "native";
/// How long a dump may take beyond the wait for the threads: the first one reads the program's symbols.
const NAMING_WAIT_MAX: Duration = Duration::from_secs(10);
/// Threads written between two looks at the rest of the executor's work.
const THREADS_PER_TURN: usize = 16;

impl SeaTunnel {
    /// Names of the threads, in their order.
    pub(super) async fn running_threads(&self) -> Reply {
        self.node.renew(Part::Threads).await;
        let threads = self.node.sampler.threads();
        if threads.taken.is_none() {
            return Reply::busy("The threads have not been read yet: the kernel does not answer in time.");
        }
        let mut json = self.json.borrow_mut();
        json.raw("[");
        for (index, thread) in threads.iter().enumerate() {
            json.raw(if index > 0 { "," } else { "" });
            json.raw(r#"{"threadName":"#).string(&thread.name);
            json.raw(r#","classLoader":"#).string(CLASS_LOADER).raw("}");
        }
        json.raw("]");
        Reply::json(json.take())
    }

    /// What each thread does and where it is. Its thread takes and names the stacks; here they are only written.
    pub(super) async fn thread_dump(&self) -> Reply {
        let Ok(dump) = self.node.stacks.dump() else {
            return Reply::busy("Too many thread dumps are asked for.");
        };
        let late = async {
            sleep(self.node.settings.stack_wait_max + NAMING_WAIT_MAX).await;
            None
        };
        let Some(dump) = or(async { dump.await.ok() }, late).await else {
            return Reply::busy("The stacks of the threads could not be taken in time.");
        };
        let mut json = JsonBuffer::default();
        json.raw("[");
        for (index, thread) in dump.threads.iter().enumerate() {
            json.raw(if index > 0 { "," } else { "" });
            write(thread, &mut json);
            if index % THREADS_PER_TURN == THREADS_PER_TURN - 1 {
                give_way().await;
            }
        }
        json.raw("]");
        Reply::json(json.take())
    }
}

fn write(thread: &ThreadStack, json: &mut JsonBuffer) {
    json.raw(r#"{"threadName":"#).string(&thread.name);
    json.raw(r#","threadId":"#).integer(thread.id);
    json.raw(r#","threadState":"#).string(thread.state.as_str());
    json.raw(r#","stackTrace":"#).string(&thread.lines.join("\n")).raw("}");
}
