//! A disk in memory that loses power, tears writes at 512 bytes, runs full, and fails one call on
//! purpose, with or without having done it.

use super::Dice;
use medtrail_store::{FileName, Files};
use redb::StorageBackend;
use std::collections::{HashMap, HashSet};
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};

const SECTOR: usize = 512;
const BLOCK: u64 = 4096;

#[derive(Clone, Debug)]
enum Op {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

impl Op {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, data) => {
                let start = *offset as usize;
                let end = (start + data.len()).min(bytes.len());
                // Beyond the end means that the growth before it was lost, and this with it.
                if start < end {
                    bytes[start..end].copy_from_slice(&data[..end - start]);
                }
            }
            Self::SetLen(len) => resize(bytes, *len as usize),
        }
    }
}

/// `Vec::resize`, which takes byte after byte where it is not optimised.
fn resize(bytes: &mut Vec<u8>, len: usize) {
    bytes.truncate(len);
    bytes.extend_from_slice(&vec![0; len - bytes.len()]);
}

#[derive(Clone, Debug, Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// Done since the last sync, in order.
    unsynced: Vec<Op>,
    blocks: HashSet<u64>,
}

impl Inode {
    fn sync(&mut self) {
        for op in std::mem::take(&mut self.unsynced) {
            op.apply(&mut self.durable);
        }
    }

    /// What a power loss leaves: some unsynced calls, some sectors of some.
    fn lose_power(&self, dice: &mut Dice) -> Vec<u8> {
        let mut image = self.durable.clone();
        let keep_calls = dice.below(4);
        for op in &self.unsynced {
            let torn = match keep_calls {
                0 => continue,
                1 => false,
                2 if dice.once_in(2) => continue,
                2 => false,
                _ => true,
            };
            match op {
                Op::Write(offset, data) if torn => {
                    for (place, sector) in data.chunks(SECTOR).enumerate() {
                        if dice.once_in(2) {
                            let at = offset + (place * SECTOR) as u64;
                            Op::Write(at, sector.to_vec()).apply(&mut image);
                        }
                    }
                }
                Op::SetLen(_) if torn && dice.once_in(2) => {}
                whole => whole.apply(&mut image),
            }
        }
        image
    }
}

/// One call to fail.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// Changing calls (write, set_len, sync) to let pass first.
    pub after: u64,
    /// Whether the call is done all the same.
    pub happens: bool,
}

#[derive(Clone, Debug, Default)]
struct State {
    inodes: Vec<Inode>,
    names: HashMap<FileName, usize>,
    temporary: HashMap<FileName, usize>,
    /// Changing calls until the power goes; `None`: never.
    power: Option<u64>,
    /// Changing calls so far.
    calls: u64,
    failure: Option<Failure>,
    /// Blocks of 4 KiB on the disk.
    blocks_max: Option<usize>,
    /// Files whose syncs do nothing.
    lying: HashSet<FileName>,
}

/// What to do with a call.
enum Verdict {
    Do,
    DoAndFail,
    Fail,
}

impl State {
    fn judge(&mut self) -> io::Result<Verdict> {
        self.alive()?;
        self.calls += 1;
        if let Some(left) = &mut self.power {
            *left = left.saturating_sub(1);
        }
        match &mut self.failure {
            Some(failure) if failure.after == 0 => {
                let happens = failure.happens;
                self.failure = None;
                Ok(if happens { Verdict::DoAndFail } else { Verdict::Fail })
            }
            Some(failure) => {
                failure.after -= 1;
                Ok(Verdict::Do)
            }
            None => Ok(Verdict::Do),
        }
    }

    fn alive(&self) -> io::Result<()> {
        match self.power {
            Some(0) => Err(io::Error::other("power lost")),
            _ => Ok(()),
        }
    }

    fn room_for(&self, inode: usize, offset: u64, len: usize) -> bool {
        let Some(max) = self.blocks_max else { return true };
        let used: usize = self.inodes.iter().map(|inode| inode.blocks.len()).sum();
        let new = blocks(offset, len).filter(|block| !self.inodes[inode].blocks.contains(block));
        used + new.count() <= max
    }
}

fn blocks(offset: u64, len: usize) -> impl Iterator<Item = u64> {
    offset / BLOCK..(offset + len as u64).div_ceil(BLOCK)
}

fn eio() -> io::Error {
    io::Error::other("input/output error, on purpose")
}

/// The disk; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<State>>);

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub fn files(&self) -> Arc<dyn Files> {
        Arc::new(self.clone())
    }

    /// The power goes at the n-th changing call from now.
    pub fn lose_power_after(&self, calls: u64) {
        self.state().power = Some(calls.max(1));
    }

    pub fn fail(&self, failure: Failure) {
        self.state().failure = Some(failure);
    }

    /// Whether a failure is still to come.
    pub fn is_failure_due(&self) -> bool {
        self.state().failure.is_some()
    }

    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    pub fn limit_blocks(&self, blocks: Option<usize>) {
        self.state().blocks_max = blocks;
    }

    pub fn blocks_used(&self) -> usize {
        self.state().inodes.iter().map(|inode| inode.blocks.len()).sum()
    }

    /// From now on syncs of this file do nothing, and say that they did.
    pub fn lie_about(&self, name: FileName) {
        self.state().lying.insert(name);
    }

    /// The disk of a machine that was switched off at this moment and on again.
    pub fn after_power_loss(&self, dice: &mut Dice) -> Self {
        let state = self.state();
        let mut next = State { lying: state.lying.clone(), ..State::default() };
        for name in [
            FileName::Head,
            FileName::Log,
            FileName::Keys,
            FileName::Directory,
            FileName::Spool,
            FileName::Vault,
        ] {
            if let Some(&inode) = state.names.get(&name) {
                let image = match state.lying.contains(&name) {
                    // Nothing since the file was made; a mixture would only crash redb.
                    true => state.inodes[inode].durable.clone(),
                    false => state.inodes[inode].lose_power(dice),
                };
                next.names.insert(name, next.inodes.len());
                next.inodes.push(Inode {
                    blocks: blocks(0, image.len()).collect(),
                    live: image.clone(),
                    durable: image,
                    unsynced: Vec::new(),
                });
            }
        }
        Self(Arc::new(Mutex::new(next)))
    }

    /// The same disk seen by a new process, the old one gone; what was not synced is still there.
    pub fn after_kill(&self) -> Self {
        let state = self.state().clone();
        Self(Arc::new(Mutex::new(State { failure: None, power: None, ..state })))
    }

    pub fn with_file<R>(&self, name: FileName, edit: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let mut state = self.state();
        let inode = state.names[&name];
        let done = edit(&mut state.inodes[inode].live);
        state.inodes[inode].durable = state.inodes[inode].live.clone();
        done
    }

    pub fn remove(&self, name: FileName) {
        self.state().names.remove(&name);
    }
}

impl Files for Disk {
    fn open(&self, name: FileName) -> io::Result<Option<Box<dyn StorageBackend>>> {
        let state = self.state();
        state.alive()?;
        Ok(state.names.get(&name).map(|&inode| {
            Box::new(Handle { disk: self.clone(), inode, name }) as Box<dyn StorageBackend>
        }))
    }

    fn create(&self, name: FileName) -> io::Result<Box<dyn StorageBackend>> {
        let mut state = self.state();
        state.alive()?;
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.temporary.insert(name, inode);
        Ok(Box::new(Handle { disk: self.clone(), inode, name }))
    }

    fn publish(&self, name: FileName) -> io::Result<()> {
        let mut state = self.state();
        let verdict = state.judge()?;
        if !matches!(verdict, Verdict::Fail) {
            let inode = state.temporary.remove(&name).expect("a created file");
            if let Some(old) = state.names.insert(name, inode) {
                state.inodes[old] = Inode::default();
            }
            state.inodes[inode].sync();
        }
        if matches!(verdict, Verdict::Do) { Ok(()) } else { Err(eio()) }
    }
}

#[derive(Debug)]
struct Handle {
    disk: Disk,
    inode: usize,
    name: FileName,
}

impl Handle {
    fn change(&self, act: impl FnOnce(&mut State) -> io::Result<()>) -> io::Result<()> {
        let mut state = self.disk.state();
        match state.judge()? {
            Verdict::Do => act(&mut state),
            Verdict::DoAndFail => act(&mut state).and(Err(eio())),
            Verdict::Fail => Err(eio()),
        }
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        let state = self.disk.state();
        state.alive()?;
        Ok(state.inodes[self.inode].live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.disk.state();
        state.alive()?;
        let start = offset as usize;
        let bytes = state.inodes[self.inode].live.get(start..start + out.len());
        out.copy_from_slice(bytes.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(|state| {
            let inode = &mut state.inodes[self.inode];
            inode.blocks.retain(|block| *block < len.div_ceil(BLOCK));
            resize(&mut inode.live, len as usize);
            inode.unsynced.push(Op::SetLen(len));
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(|state| {
            if !state.lying.contains(&self.name) {
                state.inodes[self.inode].sync();
            }
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(|state| {
            if !state.room_for(self.inode, offset, data.len()) {
                return Err(ErrorKind::StorageFull.into());
            }
            let inode = &mut state.inodes[self.inode];
            inode.blocks.extend(blocks(offset, data.len()));
            let op = Op::Write(offset, data.to_vec());
            let end = offset as usize + data.len();
            if inode.live.len() < end {
                resize(&mut inode.live, end);
                inode.unsynced.push(Op::SetLen(end as u64));
            }
            op.apply(&mut inode.live);
            inode.unsynced.push(op);
            Ok(())
        })
    }
}
