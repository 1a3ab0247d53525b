//! What the kernel alone gives, to compare with: an echo by a blocking thread for each connection, beside a thread that
//! spins.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use egret_runtime::shard::pin_thread;

use super::Subject;
use super::server::Counts;

/// Blocking threads on one CPU.
pub struct Plain {
    address: SocketAddr,
    cpu: usize,
    nice: i32,
    counts: Arc<Counts>,
    stop: Arc<AtomicBool>,
}

impl Plain {
    pub fn start(cpu: usize, nice: i32) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = stop.clone();
        thread::Builder::new().name("plain-accept".to_owned()).spawn(move || {
            for stream in listener.incoming() {
                if stopping.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let stream = stream?;
                thread::spawn(move || echo(stream, cpu));
            }
            io::Result::Ok(())
        })?;
        Ok(Self { address, cpu, nice, counts: Arc::default(), stop })
    }
}

impl Subject for Plain {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn start_job(&self) {
        let (counts, stop, cpu, nice) = (self.counts.clone(), self.stop.clone(), self.cpu, self.nice);
        thread::spawn(move || {
            // SAFETY: a plain call; 0 names the calling thread. Lowering needs no privilege.
            let lowered = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
            if pin_thread(cpu).is_err() || lowered != 0 {
                return eprintln!("egret-bench: the spinning thread was refused its CPU or priority");
            }
            let step = super::server::calibrated();
            while !stop.load(Ordering::Relaxed) {
                counts.step(step);
            }
        });
    }

    fn job_counts(&self) -> (u64, Duration) {
        self.counts.read()
    }

    fn stop(self: Box<Self>) -> Result<(), Box<dyn Error>> {
        self.stop.store(true, Ordering::Relaxed);
        // The accepting thread looks at the flag when a connection comes.
        TcpStream::connect(self.address)?;
        Ok(())
    }
}

fn echo(mut stream: TcpStream, cpu: usize) -> io::Result<()> {
    pin_thread(cpu)?;
    stream.set_nodelay(true)?;
    let mut buffer = [0u8; 4096];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count])?,
        }
    }
}
