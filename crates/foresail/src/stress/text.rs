//! The shell texts that run in containers, and what they say.
//!
//! POSIX sh with `date`, `df`, `dd`, `sleep`, `tail` and `tr`, as BusyBox and Debian have them. Their
//! first line says what they do, for those who look at a container's processes (and for a played
//! kubelet). Each ends by itself when its time is over: nobody has to be there to end it.

/// Begins the first line of every text.
pub const MARK: &str = "# foresail-stress";

/// Exit code of a text that was refused: more memory was asked for than is free.
pub const REFUSED: i32 = 3;

/// Rounds of a busy loop between two looks at the clock: about ten milliseconds.
const ROUNDS: u32 = 5000;

/// Busy loops, so many at once, for so many seconds by the container's own clock.
#[must_use]
pub fn cpu(workers: u32, seconds: u64) -> String {
    format!(
        r#"{MARK} cpu workers={workers} seconds={seconds}
exec 2>&1
end=$(($(date +%s) + {seconds}))
pids=
n=0
while [ "$n" -lt {workers} ]; do
  (
    while [ "$(date +%s)" -lt "$end" ]; do
      i=0
      while [ "$i" -lt {ROUNDS} ]; do i=$((i + 1)); done
    done
  ) &
  pids="$pids $!"
  n=$((n + 1))
done
trap 'kill $pids; exit 0' TERM INT HUP
echo "started $$"
wait
"#
    )
}

/// So many MiB in `/dev/shm`, held for so many seconds; refused where they are more than is free.
///
/// Files there are memory of the container, and count against its limit.
#[must_use]
pub fn memory(mebibytes: u32, seconds: u64) -> String {
    format!(
        r#"{MARK} memory mebibytes={mebibytes} seconds={seconds}
exec 2>&1
set -- $(df -Pk /dev/shm | tail -n 1)
free=$(($4 / 1024))
if [ {mebibytes} -gt "$free" ]; then echo "refused $free"; exit {REFUSED}; fi
file=/dev/shm/foresail-stress-$$
trap 'rm -f "$file"' EXIT
trap 'kill $! 2>/dev/null; exit 0' TERM INT HUP
dd if=/dev/zero of="$file" bs=1048576 count={mebibytes} 2>/dev/null || {{ echo "failed"; exit 4; }}
echo "allocated $$"
sleep {seconds} &
wait $!
"#
    )
}

/// Ends texts that run in the same container, by the numbers that they told; a process that is none
/// of ours is left alone.
#[must_use]
pub fn end(pids: &[u64]) -> String {
    let list = |between: &str| {
        let texts: Vec<String> = pids.iter().map(u64::to_string).collect();
        texts.join(between)
    };
    format!(
        r#"{MARK} end pids={}
for pid in {}; do
  case "$(tr '\0' ' ' < "/proc/$pid/cmdline" 2>/dev/null)" in
  *foresail-stress*) kill "$pid" ;;
  esac
done
"#,
        list(","),
        list(" ")
    )
}

/// What a text says in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Busy loops run; the process to end.
    Started(u64),
    /// The memory is filled; the process to end.
    Allocated(u64),
    /// It was refused; so many MiB are free.
    Refused(u64),
    /// Something else, as a shell's complaint.
    Other(String),
}

impl Said {
    /// Of a line.
    #[must_use]
    pub fn of(line: &str) -> Self {
        let other = || Self::Other(line.trim().to_owned());
        let Some((word, number)) = line.trim().split_once(' ') else {
            return other();
        };
        match (word, number.parse()) {
            ("started", Ok(pid)) => Self::Started(pid),
            ("allocated", Ok(pid)) => Self::Allocated(pid),
            ("refused", Ok(free)) => Self::Refused(free),
            _ => other(),
        }
    }
}

/// The texts as a shell of this machine runs them, under 5 MB and 2 s.
#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Child, ChildStdout, Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    fn sh(text: &str) -> (Child, BufReader<ChildStdout>) {
        let mut child = Command::new("sh")
            .args(["-c", text])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        (child, out)
    }

    fn line(out: &mut BufReader<ChildStdout>) -> Said {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        Said::of(&line)
    }

    /// CPU of a process's children that have ended, in clock ticks (of which there are 100 a second).
    fn children_ticks(pid: u32) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = stat[stat.rfind(')').unwrap()..].split(' ').collect();
        fields[14].parse::<u64>().unwrap() + fields[15].parse::<u64>().unwrap()
    }

    #[test]
    fn busy_loops_burn_and_end_by_themselves() {
        let before = children_ticks(std::process::id());
        let begin = Instant::now();
        let (mut child, mut out) = sh(&cpu(1, 2));
        assert_eq!(line(&mut out), Said::Started(child.id().into()));
        assert!(child.wait().unwrap().success());
        let took = begin.elapsed();
        assert!(
            (Duration::from_millis(900)..Duration::from_secs(20)).contains(&took),
            "{took:?}"
        );
        let burnt = children_ticks(std::process::id()) - before;
        assert!(burnt > 5, "{burnt} ticks of CPU");
    }

    #[test]
    fn busy_loops_end_when_told() {
        let begin = Instant::now();
        let (mut child, mut out) = sh(&cpu(2, 60));
        let Said::Started(pid) = line(&mut out) else {
            panic!("it has not started")
        };
        let told = Command::new("sh").args(["-c", &end(&[pid])]).status();
        assert!(told.unwrap().success());
        child.wait().unwrap();
        // Its loops hold the other end of the pipe: they are gone too.
        let mut rest = String::new();
        out.read_line(&mut rest).unwrap();
        assert_eq!(rest, "");
        assert!(begin.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn memory_is_filled_held_and_given_back() {
        let (mut child, mut out) = sh(&memory(5, 2));
        let file = format!("/dev/shm/foresail-stress-{}", child.id());
        assert_eq!(line(&mut out), Said::Allocated(child.id().into()));
        assert_eq!(std::fs::metadata(&file).unwrap().len(), 5 << 20);
        assert!(child.wait().unwrap().success());
        assert!(!std::path::Path::new(&file).exists());

        let (mut child, mut out) = sh(&memory(5, 60));
        let Said::Allocated(pid) = line(&mut out) else {
            panic!("it is not filled")
        };
        let told = Command::new("sh").args(["-c", &end(&[pid])]).status();
        assert!(told.unwrap().success());
        child.wait().unwrap();
        assert!(!std::path::Path::new(&format!("/dev/shm/foresail-stress-{pid}")).exists());
    }

    #[test]
    fn more_memory_than_is_free_is_refused_before_anything_is_filled() {
        let (mut child, mut out) = sh(&memory(1 << 30, 2));
        let Said::Refused(free) = line(&mut out) else {
            panic!("it was not refused")
        };
        assert!(free < 1 << 30);
        assert_eq!(child.wait().unwrap().code(), Some(REFUSED));
        assert!(
            !std::path::Path::new(&format!("/dev/shm/foresail-stress-{}", child.id())).exists()
        );
    }

    #[test]
    fn a_process_that_is_none_of_ours_is_left_alone() {
        let mut other = Command::new("sleep").arg("20").spawn().unwrap();
        let told = Command::new("sh")
            .args(["-c", &end(&[other.id().into(), 1])])
            .status();
        assert!(told.unwrap().success());
        assert_eq!(other.try_wait().unwrap(), None);
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
