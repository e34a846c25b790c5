//! How much memory the process holds of what it may have, on Linux.

use std::fs;
use std::path::{Component, Path};

use super::detail::{Part, Status};
use crate::telemetry::resident_bytes;

/// Beyond nine tenths of its limit a process should be looked at before the system ends it.
const TENTHS: u64 = 9;
const MIB: u64 = 1024 * 1024;
const KIB: u64 = 1024;

pub(super) fn part() -> Option<Part> {
    Some(judge(resident_bytes()?, limit_bytes()?))
}

fn judge(held: u64, limit: u64) -> Part {
    let much = held / TENTHS > limit / 10;
    let status = if much { Status::Warning } else { Status::Healthy };
    let message = Some(format!("{} of {} MiB", held / MIB, limit / MIB));
    Part { status, message, latency_ms: None }
}

/// What the process may have, in bytes: the least of what its control groups and the machine allow.
pub(crate) fn limit_bytes() -> Option<u64> {
    limit_under(Path::new("/"))
}

fn limit_under(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let of_groups = groups.lines().flat_map(|line| of_group(root, line));
    of_groups.chain(of_machine(root)).min()
}

/// The limits of one of the process's control groups and of those around it. In a container the path may be one that the
/// container does not see; the outermost folder is the container's own then.
fn of_group(root: &Path, line: &str) -> Vec<u64> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (folder, file) = match controllers {
        "" => ("sys/fs/cgroup", "memory.max"),
        _ if controllers.split(',').any(|name| name == "memory") => {
            ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
        }
        _ => return Vec::new(),
    };
    let around = Path::new(path.trim_start_matches('/')).ancestors();
    let inside = around.filter(|path| path.components().all(|part| matches!(part, Component::Normal(_))));
    // Where there is no limit, the file says `max`, or a number that no machine reaches.
    let read = |path: &Path| fs::read_to_string(root.join(folder).join(path).join(file)).ok();
    inside.filter_map(|path| read(path)?.trim().parse().ok()).collect()
}

fn of_machine(root: &Path) -> Option<u64> {
    let memory = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib * KIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with 8 GiB and these files.
    fn limit(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        let machine = ("proc/meminfo", "MemTotal:        8388608 kB\nMemFree: 1 kB\n");
        for (path, text) in files.iter().chain([&machine]) {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        limit_under(root.path()).map(|bytes| bytes / MIB)
    }

    #[test]
    fn the_tightest_limit_of_the_groups_and_the_machine_holds() {
        let v2 = |path: &'static str| ("proc/self/cgroup", path);
        assert_eq!(limit(&[]), Some(8192), "no groups");
        assert_eq!(limit(&[v2("0::/\n"), ("sys/fs/cgroup/memory.max", "536870912\n")]), Some(512));
        assert_eq!(limit(&[v2("0::/\n"), ("sys/fs/cgroup/memory.max", "max\n")]), Some(8192));
        let nested = [
            v2("0::/pod/shop\n"),
            ("sys/fs/cgroup/pod/memory.max", "268435456\n"),
            ("sys/fs/cgroup/pod/shop/memory.max", "536870912\n"),
        ];
        assert_eq!(limit(&nested), Some(256), "the group around it is tighter");
        let outside = [v2("0::/../../other\n"), ("sys/fs/cgroup/memory.max", "134217728\n")];
        assert_eq!(limit(&outside), Some(128));
    }

    #[test]
    fn the_first_version_of_control_groups_is_read_too() {
        let of = |path| ("proc/self/cgroup", path);
        let file = "sys/fs/cgroup/memory/memory.limit_in_bytes";
        let docker = of("5:cpu,cpuacct:/docker/7\n4:memory:/docker/7\n0::/docker/7\n");
        assert_eq!(limit(&[docker, (file, "536870912\n")]), Some(512));
        assert_eq!(limit(&[docker, (file, "9223372036854771712\n")]), Some(8192), "no limit");
    }

    #[test]
    fn beyond_nine_tenths_is_a_warning() {
        assert_eq!(judge(460 * MIB, 512 * MIB).status, Status::Healthy);
        let part = judge(462 * MIB, 512 * MIB);
        assert_eq!((part.status, part.message.as_deref()), (Status::Warning, Some("462 of 512 MiB")));
    }
}
