//! Where the control groups of this process are in the file system.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Component, Path, PathBuf};

use procfs::FromBufRead;
use procfs::ProcessCGroups;
use procfs::process::{MountInfo, MountInfos};

use crate::kept::read_once;

/// Groups between that of the process and the mount that are looked at; the kernel allows more, nobody has them.
const LEVELS_MAX: usize = 32;

/// Of a hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// The hierarchies that are mounted, and the group of this process in each.
#[derive(Debug)]
pub(super) struct Hierarchies {
    root: PathBuf,
    groups: ProcessCGroups,
    mounts: Vec<MountInfo>,
}

impl Hierarchies {
    /// As `/proc/self` below `root` tells. What cannot be read is not there.
    pub(super) fn read(root: &Path) -> Self {
        let own = root.join("proc/self");
        let groups = parsed(&own.join("cgroup")).unwrap_or(ProcessCGroups(Vec::new()));
        let mounts = parsed::<MountInfos>(&own.join("mountinfo")).map_or_else(Vec::new, |mounts| mounts.0);
        Self { root: root.to_owned(), groups, mounts }
    }

    /// The folders of the groups of this process that a controller rules, from its own up to the mount.
    pub(super) fn way_up(&self, controller: &str) -> Option<(Version, Vec<PathBuf>)> {
        let of_one = |mount: &&MountInfo| mount.fs_type == "cgroup" && mount.super_options.contains_key(controller);
        let named = self.groups.0.iter().find(|group| group.controllers.iter().any(|name| name == controller));
        if let (Some(group), Some(mount)) = (named, self.mounts.iter().find(of_one)) {
            return Some((Version::One, self.folders(mount, &group.pathname)));
        }
        let unified = self.groups.0.iter().find(|group| group.hierarchy == 0 && group.controllers.is_empty())?;
        let mount = self.mounts.iter().find(|mount| mount.fs_type == "cgroup2")?;
        Some((Version::Two, self.folders(mount, &unified.pathname)))
    }

    fn folders(&self, mount: &MountInfo, group: &str) -> Vec<PathBuf> {
        let top = self.root.join(mount.mount_point.strip_prefix("/").unwrap_or(&mount.mount_point));
        // A container sees its own group as the root of the mount. Where the group is not below that, it cannot be seen,
        // and the mount is the nearest there is.
        let below = Path::new(group).strip_prefix(&mount.root).unwrap_or(Path::new(""));
        let is_below = below.components().all(|part| matches!(part, Component::Normal(_)));
        let own = if is_below { top.join(below) } else { top.clone() };
        own.ancestors().take_while(|folder| folder.starts_with(&top)).take(LEVELS_MAX).map(Path::to_owned).collect()
    }
}

/// A file by the library's parser, which is not trusted with texts that it does not know.
fn parsed<T: FromBufRead>(path: &Path) -> Option<T> {
    let text = read_once(path)?;
    catch_unwind(AssertUnwindSafe(|| T::from_buf_read(text.as_bytes()).ok())).ok().flatten()
}
