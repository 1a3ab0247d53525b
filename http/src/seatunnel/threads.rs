//! running-threads and thread-dump (contract A.4), from the sampler's reading.

use egret_collectors::{Part, ThreadSample};

use super::SeaTunnel;
use crate::json::JsonBuffer;
use crate::reply::Reply;

/// What stands for the class loader: there is none, and programs read it as a text.
const CLASS_LOADER: &str = "native";

impl SeaTunnel {
    /// Names of the threads, in their order.
    pub(super) async fn running_threads(&self) -> Reply {
        self.each_thread(|thread, json| {
            json.raw(r#"{"threadName":"#).string(&thread.name);
            json.raw(r#","classLoader":"#).string(CLASS_LOADER).raw("}");
        })
        .await
    }

    /// What each thread does and where it is.
    pub(super) async fn thread_dump(&self) -> Reply {
        self.each_thread(|thread, json| {
            json.raw(r#"{"threadName":"#).string(&thread.name);
            json.raw(r#","threadId":"#).integer(thread.id);
            json.raw(r#","threadState":"#).string(thread.state.as_str());
            json.raw(r#","stackTrace":"#).string(&thread.stack.join("\n")).raw("}");
        })
        .await
    }

    async fn each_thread(&self, write: impl Fn(&ThreadSample, &mut JsonBuffer)) -> Reply {
        self.node.renew(Part::Threads).await;
        let threads = self.node.sampler.threads();
        if threads.taken.is_none() {
            return Reply::busy("The threads have not been read yet: the kernel does not answer in time.");
        }
        let mut json = self.json.borrow_mut();
        json.raw("[");
        for (index, thread) in threads.iter().enumerate() {
            json.raw(if index > 0 { "," } else { "" });
            write(thread, &mut json);
        }
        json.raw("]");
        Reply::json(json.take())
    }
}
