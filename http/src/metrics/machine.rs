//! The machine, or as much of it as this process may use, and its devices.

use egret_collectors::{Details, Part, Pressure};

use super::Live;
use super::family::{Family, Table, counter, gauge};
use super::text::{Samples, Value};

const AFFINITY: &str = "affinity mask, quota of the control group";
const MEMORY: &str = "`/proc/meminfo`, limits of the control group";
const NETWORK: &str = "`/proc/net/dev`";
const DISKS: &str = "`/proc/diskstats`";
const PRESSURE: &str = "`/proc/pressure`";

pub(super) static MACHINE: Table<Live> = Table {
    title: "Machine",
    intro: "In a control group with limits the machine is as large as they allow. What the kernel does not tell has no sample.",
    labels: &[],
    parts: &[Part::Vitals],
    families: &[
        gauge("egret_node_cpus", "CPUs' worth of time that the process may use.", AFFINITY, |live, out| {
            out.known(live.vitals.machine.cpus);
        }),
        gauge(
            "egret_node_load_ratio",
            "Share of these CPUs that anybody used, over the window of loads.",
            "`/proc/stat`, or the control group's CPU time where it has a quota",
            |live, out| out.known(live.vitals.loads.system),
        ),
        gauge(
            "egret_node_load_average",
            "Tasks of the machine that run or want to, on average over so many minutes.",
            "`/proc/loadavg`",
            |live: &Live, out| {
                let averages = live.vitals.machine.load_averages;
                for (minutes, average) in ["1", "5", "15"].into_iter().zip(averages.into_iter().flatten()) {
                    out.labelled(&[minutes], average);
                }
            },
        )
        .by(&["minutes"]),
        gauge("egret_node_memory_total_bytes", "Memory.", MEMORY, |live, out| {
            out.known(live.vitals.machine.memory_total);
        }),
        gauge("egret_node_memory_free_bytes", "Memory that nobody uses, not even as a cache.", MEMORY, |live, out| {
            out.known(live.vitals.machine.memory_free);
        }),
        gauge(
            "egret_node_memory_available_bytes",
            "Memory of the whole machine that can be had without swapping.",
            "`/proc/meminfo`",
            |live, out| out.known(live.vitals.machine.memory_available),
        ),
        gauge("egret_node_swap_total_bytes", "Swap space.", MEMORY, |live, out| {
            out.known(live.vitals.machine.swap_total);
        }),
        gauge("egret_node_swap_free_bytes", "Swap space that is free.", MEMORY, |live, out| {
            out.known(live.vitals.machine.swap_free);
        }),
    ],
};

pub(super) static DEVICES: Table<Live> = Table {
    title: "Networks, disks, pressure",
    intro: "At most 256 interfaces and 256 disks are told of. Pressure is time in which tasks waited for a resource: \
            `some`, at least one of them; `all`, all that were not idle.",
    labels: &[],
    parts: &[Part::Details],
    families: &[
        of_interface("egret_node_network_received_bytes_total", "Bytes received.", |live, out| {
            interfaces(&live.details, out, |interface| interface.received_bytes);
        }),
        of_interface("egret_node_network_received_packets_total", "Packets received.", |live, out| {
            interfaces(&live.details, out, |interface| interface.received_packets);
        }),
        of_interface("egret_node_network_received_lost_total", "Packets received broken, or dropped.", |live, out| {
            interfaces(&live.details, out, |interface| interface.received_lost);
        }),
        of_interface("egret_node_network_sent_bytes_total", "Bytes sent.", |live, out| {
            interfaces(&live.details, out, |interface| interface.sent_bytes);
        }),
        of_interface("egret_node_network_sent_packets_total", "Packets sent.", |live, out| {
            interfaces(&live.details, out, |interface| interface.sent_packets);
        }),
        of_interface(
            "egret_node_network_sent_lost_total",
            "Packets that could not be sent, or were dropped.",
            |live, out| interfaces(&live.details, out, |interface| interface.sent_lost),
        ),
        of_disk("egret_node_disk_reads_total", "Reads done.", |live, out| {
            disks(&live.details, out, |disk| disk.reads.into());
        }),
        of_disk("egret_node_disk_read_bytes_total", "Bytes read.", |live, out| {
            disks(&live.details, out, |disk| disk.read_bytes.into());
        }),
        of_disk("egret_node_disk_writes_total", "Writes done.", |live, out| {
            disks(&live.details, out, |disk| disk.writes.into());
        }),
        of_disk("egret_node_disk_written_bytes_total", "Bytes written.", |live, out| {
            disks(&live.details, out, |disk| disk.written_bytes.into());
        }),
        of_disk("egret_node_disk_busy_seconds_total", "Time in which it had something to do.", |live, out| {
            disks(&live.details, out, |disk| Value::Double(disk.busy_ms as f64 / 1e3));
        }),
        counter(
            "egret_node_pressure_waiting_seconds_total",
            "Time in which tasks waited for a resource.",
            PRESSURE,
            |live: &Live, out| {
                pressures(&live.details, |resource, pressure| {
                    out.labelled(&[resource, "some"], pressure.some.total_us as f64 / 1e6);
                    out.labelled(&[resource, "all"], pressure.full.total_us as f64 / 1e6);
                });
            },
        )
        .by(&["resource", "tasks"]),
        gauge(
            "egret_node_pressure_ratio",
            "Share of the last so many seconds in which tasks waited for a resource.",
            PRESSURE,
            |live: &Live, out| {
                pressures(&live.details, |resource, pressure| {
                    for (tasks, stalls) in [("some", pressure.some), ("all", pressure.full)] {
                        for (window, share) in ["10", "60", "300"].into_iter().zip(stalls.shares) {
                            out.labelled(&[resource, tasks, window], share);
                        }
                    }
                });
            },
        )
        .by(&["resource", "tasks", "seconds"]),
    ],
};

const fn of_interface(name: &'static str, help: &'static str, write: fn(&Live, &mut Samples<'_>)) -> Family<Live> {
    counter(name, help, NETWORK, write).by(&["interface"])
}

const fn of_disk(name: &'static str, help: &'static str, write: fn(&Live, &mut Samples<'_>)) -> Family<Live> {
    counter(name, help, DISKS, write).by(&["disk"])
}

fn interfaces(details: &Details, out: &mut Samples<'_>, value: fn(&egret_collectors::Interface) -> u64) {
    for interface in details.interfaces.iter().flatten() {
        out.labelled(&[&interface.name], value(interface));
    }
}

fn disks(details: &Details, out: &mut Samples<'_>, value: fn(&egret_collectors::Disk) -> Value) {
    for disk in details.disks.iter().flatten() {
        out.labelled(&[&disk.name], value(disk));
    }
}

fn pressures(details: &Details, mut each: impl FnMut(&str, &Pressure)) {
    let known = [("cpu", &details.pressure_cpu), ("memory", &details.pressure_memory), ("io", &details.pressure_io)];
    for (resource, pressure) in known {
        if let Some(pressure) = pressure {
            each(resource, pressure);
        }
    }
}
