//! What is killed when, and whether it has come back. The times are fixed shares of the demo's length; a fault
//! waits until the one before is mended.
//!
//! ```text
//!  quiet ── time of the next fault ──▶ mending ── it is back ──▶ quiet
//! ```

use std::time::Duration;

use anyhow::Context;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::mesh::Mesh;

/// Whose replicas are killed.
const SERVICE: &str = "account-manager";

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// `kill -9` of a replica: sidecar and application.
    KillReplica,
    /// `kill -9` of the control plane.
    KillControlPlane,
    /// SIGTERM to a replica: it drains first.
    StopReplica,
}

/// When, as percentages of the demo's length.
const SCRIPT: [(u32, Fault); 3] =
    [(20, Fault::KillReplica), (45, Fault::KillControlPlane), (70, Fault::StopReplica)];

/// Something that was done or seen.
#[derive(Debug, Clone)]
pub(super) struct Note {
    /// Since the load began.
    pub(super) at: Duration,
    /// For people.
    pub(super) text: String,
}

/// What was killed and has to come back.
#[derive(Debug)]
enum Wanted {
    Replica { instance: String, old_pid: Option<u32>, replicas: usize },
    ControlPlane { old_pid: Option<u32>, replicas: usize },
}

/// Runs the script.
#[derive(Debug)]
pub(super) struct Director {
    length: Duration,
    repeats: bool,
    next: u32,
    mending: Option<(Duration, Wanted)>,
    notes: Vec<Note>,
}

impl Director {
    /// Over a demo of that length, or again and again.
    pub(super) const fn new(length: Duration, repeats: bool) -> Self {
        Self { length, repeats, next: 0, mending: None, notes: Vec::new() }
    }

    /// What is to be done at this time.
    pub(super) async fn step(&mut self, now: Duration, mesh: &Mesh) -> anyhow::Result<()> {
        if let Some((since, wanted)) = &self.mending {
            if !wanted.is_back(mesh).await {
                return Ok(());
            }
            let took = now.saturating_sub(*since).as_secs_f64();
            let text = match wanted {
                Wanted::Replica { instance, .. } => {
                    format!("{instance} is back and passing after {took:.1} s")
                }
                Wanted::ControlPlane { .. } => {
                    format!("the control plane is back after {took:.1} s, and every replica registered")
                }
            };
            self.mending = None;
            self.notes.push(Note { at: now, text });
        }
        if let Some(fault) = self.due(now) {
            self.next += 1;
            let (text, wanted) = inflict(fault, self.next, mesh)?;
            self.notes.push(Note { at: now, text });
            self.mending = Some((now, wanted));
        }
        Ok(())
    }

    /// Whether everything that was killed has come back.
    pub(super) const fn settled(&self) -> bool {
        self.mending.is_none()
    }

    /// So far.
    pub(super) fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// All of them.
    pub(super) fn into_notes(self) -> Vec<Note> {
        self.notes
    }

    fn due(&self, now: Duration) -> Option<Fault> {
        let faults = u32::try_from(SCRIPT.len()).unwrap_or(1);
        let (round, index) = (self.next / faults, self.next % faults);
        if round > 0 && !self.repeats {
            return None;
        }
        let (percent, fault) = SCRIPT.get(usize::try_from(index).ok()?)?;
        (now >= self.length * round + self.length * *percent / 100).then_some(*fault)
    }
}

impl Wanted {
    async fn is_back(&self, mesh: &Mesh) -> bool {
        let status = mesh.status();
        let (again, replicas) = match self {
            Self::Replica { instance, old_pid, replicas } => {
                let replica = status.replicas.iter().find(|replica| replica.instance == *instance);
                let pid = replica.and_then(|replica| replica.app_pid);
                (pid.is_some() && pid != *old_pid, *replicas)
            }
            Self::ControlPlane { old_pid, replicas } => {
                let pid = status.control_plane.pid;
                (pid.is_some() && pid != *old_pid, *replicas)
            }
        };
        again && mesh.passing(SERVICE).await == replicas
    }
}

fn inflict(fault: Fault, number: u32, mesh: &Mesh) -> anyhow::Result<(String, Wanted)> {
    let status = mesh.status();
    let replicas: Vec<_> = status.replicas.iter().filter(|replica| replica.service == SERVICE).collect();
    let count = replicas.len();
    if fault == Fault::KillControlPlane {
        let pid = status.control_plane.pid;
        send(pid, Signal::SIGKILL).context("the control plane cannot be killed")?;
        let text = format!("kill -9 the control plane (process {})", pid.unwrap_or_default());
        return Ok((text, Wanted::ControlPlane { old_pid: pid, replicas: count }));
    }
    let victim = replicas
        .get(usize::try_from(number).unwrap_or_default() % count.max(1))
        .with_context(|| format!("the mesh has no {SERVICE}"))?;
    let (app, sidecar) = (victim.app_pid, victim.sidecar_pid);
    let name = &victim.instance;
    let text = if fault == Fault::KillReplica {
        send(app, Signal::SIGKILL).with_context(|| format!("{name} cannot be killed"))?;
        // Its application's death may have ended it already.
        let _gone_already = send(sidecar, Signal::SIGKILL);
        format!(
            "kill -9 {name} (application {}, sidecar {})",
            app.unwrap_or_default(),
            sidecar.unwrap_or_default()
        )
    } else {
        send(sidecar, Signal::SIGTERM).with_context(|| format!("{name} cannot be stopped"))?;
        format!("SIGTERM to {name} (sidecar {}): it drains, then ends", sidecar.unwrap_or_default())
    };
    Ok((text, Wanted::Replica { instance: name.clone(), old_pid: app, replicas: count }))
}

fn send(pid: Option<u32>, signal: Signal) -> anyhow::Result<()> {
    let pid = i32::try_from(pid.context("it does not run")?)?;
    kill(Pid::from_raw(pid), signal)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_in_order_and_only_once() {
        let mut director = Director::new(Duration::from_secs(20), false);
        assert_eq!(director.due(Duration::from_secs(3)), None);
        assert_eq!(director.due(Duration::from_secs(4)), Some(Fault::KillReplica));
        director.next = 2;
        assert_eq!(director.due(Duration::from_secs(13)), None);
        assert_eq!(director.due(Duration::from_secs(14)), Some(Fault::StopReplica));
        director.next = 3;
        assert_eq!(director.due(Duration::from_secs(3_600)), None);
    }

    #[test]
    fn with_a_terminal_the_script_begins_anew() {
        let mut director = Director::new(Duration::from_secs(30), true);
        director.next = 3;
        assert_eq!(director.due(Duration::from_secs(35)), None);
        assert_eq!(director.due(Duration::from_secs(36)), Some(Fault::KillReplica));
    }
}
