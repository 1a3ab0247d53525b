//! Trees of files as kernels show them, for the version that a machine lacks.

use std::fs;

use proptest::prelude::*;

use super::*;

/// A tree of files below a folder of its own.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new(cgroup: &str, mountinfo: &str) -> Self {
        let tree = Self(tempfile::tempdir().expect("a folder"));
        tree.file("proc/self/cgroup", cgroup).file("proc/self/mountinfo", mountinfo)
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        fs::write(path, text).expect("written");
        self
    }

    fn group(&self) -> Group {
        Group::find(self.0.path())
    }
}

const MOUNT_V2: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
const MOUNTS_V1: &str = "31 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                         32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                         33 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
const GROUPS_V1: &str = "4:memory:/a/b\n2:cpu,cpuacct:/a/b\n1:name=systemd:/a/b\n0::/a/b\n";
const NO_LIMIT_V1: &str = "9223372036854771712\n";

fn room_of(group: &mut Group) -> Option<Room> {
    group.memory(&mut Vec::new())
}

#[test]
fn the_lowest_limit_of_nested_groups_of_version_2_counts() {
    let tree = Tree::new("0::/slice/unit\n", MOUNT_V2)
        .file("sys/fs/cgroup/slice/memory.max", "1000\n")
        .file("sys/fs/cgroup/slice/memory.current", "900\n")
        .file("sys/fs/cgroup/slice/cpu.max", "50000 100000\n")
        .file("sys/fs/cgroup/slice/cpu.stat", "usage_usec 7\nuser_usec 5\n")
        .file("sys/fs/cgroup/slice/unit/memory.max", "2000\n")
        .file("sys/fs/cgroup/slice/unit/memory.current", "300\n")
        .file("sys/fs/cgroup/slice/unit/memory.swap.max", "0\n")
        .file("sys/fs/cgroup/slice/unit/memory.swap.current", "0\n")
        .file("sys/fs/cgroup/slice/unit/cpu.max", "max 100000\n");
    let mut group = tree.group();
    assert_eq!(room_of(&mut group), Some(Room { total: 1000, free: Some(100) }));
    assert_eq!(group.swap(&mut Vec::new()), Some(Room { total: 0, free: Some(0) }));
    assert_eq!(group.cpus(), Some(0.5));
    assert_eq!(group.cpu_time(&mut Vec::new()), Some(7000));
}

#[test]
fn max_is_no_limit() {
    let tree = Tree::new("0::/\n", MOUNT_V2)
        .file("sys/fs/cgroup/memory.max", "max\n")
        .file("sys/fs/cgroup/memory.swap.max", "max\n")
        .file("sys/fs/cgroup/cpu.max", "max 100000\n");
    let mut group = tree.group();
    assert_eq!((room_of(&mut group), group.swap(&mut Vec::new())), (None, None));
    assert_eq!((group.cpus(), group.cpu_time(&mut Vec::new())), (None, None));
}

#[test]
fn a_container_sees_its_group_at_the_mount() {
    // Without a namespace of its own for groups: the path is the host's, and so is the root of the mount.
    let mount = MOUNT_V2.replace(" / /sys", " /docker/abc /sys");
    let tree = Tree::new("0::/docker/abc\n", &mount)
        .file("sys/fs/cgroup/memory.max", "4096\n")
        .file("sys/fs/cgroup/memory.current", "96\n");
    assert_eq!(room_of(&mut tree.group()), Some(Room { total: 4096, free: Some(4000) }));
    // With a group that lies outside of what is mounted.
    let tree = Tree::new("0::/../other\n", MOUNT_V2).file("sys/fs/cgroup/memory.max", "4096\n");
    assert_eq!(room_of(&mut tree.group()), Some(Room { total: 4096, free: None }), "its use is not told");
}

#[test]
fn version_1_has_a_hierarchy_for_each_controller() {
    let tree = Tree::new(GROUPS_V1, MOUNTS_V1)
        .file("sys/fs/cgroup/memory/memory.limit_in_bytes", NO_LIMIT_V1)
        .file("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "8192\n")
        .file("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "192\n")
        .file("sys/fs/cgroup/memory/a/memory.memsw.limit_in_bytes", "9192\n")
        .file("sys/fs/cgroup/memory/a/memory.memsw.usage_in_bytes", "292\n")
        .file("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", NO_LIMIT_V1)
        .file("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "-1\n")
        .file("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n")
        .file("sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "150000\n")
        .file("sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n")
        .file("sys/fs/cgroup/cpu,cpuacct/a/b/cpuacct.usage", "123456789\n");
    let mut group = tree.group();
    assert_eq!(room_of(&mut group), Some(Room { total: 8192, free: Some(8000) }));
    assert_eq!(group.swap(&mut Vec::new()), Some(Room { total: 1000, free: Some(900) }));
    assert_eq!(group.cpus(), Some(1.5));
    assert_eq!(group.cpu_time(&mut Vec::new()), Some(123_456_789));
}

#[test]
fn each_controller_of_a_mixed_machine_is_found_where_it_is() {
    let mounts = "31 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                  33 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    let tree = Tree::new("4:memory:/m\n0::/u\n", mounts)
        .file("sys/fs/cgroup/memory/m/memory.limit_in_bytes", "500\n")
        .file("sys/fs/cgroup/unified/u/cpu.max", "300000 100000\n");
    let mut group = tree.group();
    assert_eq!(group.cpus(), Some(3.0));
    assert_eq!(group.cpu_time(&mut Vec::new()), None, "the file is not there");
    assert_eq!(room_of(&mut group), Some(Room { total: 500, free: None }));
}

#[test]
fn without_files_there_are_no_limits() {
    let empty = tempfile::tempdir().expect("a folder");
    let mut group = Group::find(empty.path());
    assert_eq!((group.cpus(), room_of(&mut group)), (None, None));
    let mut group = Tree::new("0::/gone\n", MOUNT_V2).group();
    assert_eq!((group.cpus(), room_of(&mut group)), (None, None));
    let mut group = Tree::new("nonsense", "more of it").group();
    assert_eq!((group.cpus(), room_of(&mut group)), (None, None));
}

#[test]
fn what_this_machine_says_holds_for_its_own_limit() {
    let mut group = Group::find(Path::new("/"));
    if let Some(Room { total, free }) = room_of(&mut group) {
        assert!(total > 0 && free.is_none_or(|free| free < total), "{total} {free:?}");
    }
    assert!(group.cpus().is_none_or(|cpus| cpus > 0.0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_is_read_without_a_panic(
        cgroup in prop_oneof!["(?s).{0,80}", Just("0::/x\n".to_owned()), "[0-9]{0,12}:[a-z,]{0,9}:[/.a-z]{0,9}\n"],
        mounts in prop_oneof!["(?s).{0,80}", Just(MOUNT_V2.to_owned()), "([0-9]{1,11} ){2}0:2 / /[a-z/.]{0,9} - cgroup2 . .\n"],
        limit in "(?s).{0,30}",
        cpu in "(max|-?[0-9]{0,25}) ?-?[0-9]{0,25}",
    ) {
        let tree = Tree::new(&cgroup, &mounts)
            .file("sys/fs/cgroup/x/memory.max", &limit)
            .file("sys/fs/cgroup/x/memory.current", &limit)
            .file("sys/fs/cgroup/x/cpu.max", &cpu)
            .file("sys/fs/cgroup/x/cpu.stat", &format!("usage_usec {limit}"));
        let mut group = tree.group();
        room_of(&mut group);
        group.cpu_time(&mut Vec::new());
        prop_assert!(group.cpus().is_none_or(|cpus| cpus.is_finite() && cpus > 0.0));
    }
}
