//! Every stored hash above the commitments, recomputed from them.

use super::{Check, Damage, Place};
use crate::db::Fault;
use crate::files::FileName;
use crate::head::{TILES, full_tiles, rows_outside, tile_id};
use crate::rows::tile_in;
use medtrail_ledger::checkpoint::SignedCheckpoint;
use medtrail_ledger::edge::RightEdge;
use medtrail_ledger::tile::{TILE_HASHES, TileId, hashes};
use std::collections::BTreeMap;

impl Check<'_> {
    /// Grows the tree again from the level-0 tiles and compares all tiles above, the peaks and the
    /// checkpoint.
    pub(super) fn commitments(&mut self) -> Result<(), Fault> {
        let mut edge = RightEdge::empty();
        // The open tile of each level above 0 as it was last made.
        let mut open = BTreeMap::new();
        while edge.size() < self.tail.size {
            let id = TileId { level: 0, index: edge.size() / TILE_HASHES as u64 };
            let Some(tile) = self.tile(id)? else {
                // Nothing above a gap can be recomputed.
                return Ok(());
            };
            hashes(&tile).iter().for_each(|commitment| edge.append(commitment));
            let changed = edge.changed_tiles().into_iter().filter(|(id, _)| id.level > 0);
            for (id, made) in changed {
                if made.len() == TILE_HASHES * 32 {
                    open.remove(&id);
                    self.compare(id, &made)?;
                } else {
                    open.insert(id, made);
                }
            }
            edge.settle();
        }
        for (id, made) in &open {
            self.compare(*id, made)?;
        }
        if edge.peaks() != self.tail.peaks {
            self.found(FileName::Head, Place::Tail("peaks"), Damage::Differs);
        }
        if self.tail.size == 0 && self.tail.checkpoint.is_empty() {
            return Ok(());
        }
        let damage = match SignedCheckpoint::parse(&self.tail.checkpoint) {
            Err(_) => Some(Damage::Unreadable),
            Ok(signed) => {
                let signed = (signed.checkpoint.size, signed.checkpoint.root);
                (signed != (edge.size(), edge.root())).then_some(Damage::Differs)
            }
        };
        if let Some(damage) = damage {
            self.found(FileName::Head, Place::Tail("checkpoint"), damage);
        }
        Ok(())
    }

    fn compare(&mut self, id: TileId, made: &[u8]) -> Result<(), Fault> {
        if let Some(stored) = self.tile(id)?
            && stored != made
        {
            self.found(self.home(id), Place::Tile(id), Damage::Differs);
        }
        Ok(())
    }

    /// Where a tile of this snapshot must stand.
    fn home(&self, id: TileId) -> FileName {
        if id.index < full_tiles(id.level, self.filed) { FileName::Log } else { FileName::Head }
    }

    /// The tile if it is as wide as the size says; anything else is a finding.
    pub(super) fn tile(&mut self, id: TileId) -> Result<Option<Vec<u8>>, Fault> {
        let home = self.home(id);
        let in_head = tile_in(self.head, id)?;
        let tile = if home == FileName::Log {
            let in_log = tile_in(self.log, id)?;
            if in_head.is_some() && in_log.is_some() && in_head != in_log {
                self.found(FileName::Head, Place::Tile(id), Damage::Doubles);
            }
            in_log
        } else {
            in_head
        };
        let Some(tile) = tile else {
            self.found(home, Place::Tile(id), Damage::Missing);
            return Ok(None);
        };
        let (found, expected) = (tile.len() / 32, id.width_at(self.tail.size));
        if tile.len() != expected * 32 {
            self.found(home, Place::Tile(id), Damage::Width { found, expected });
            return Ok(None);
        }
        Ok(Some(tile))
    }

    /// Tiles, and rows of the head, that no entry accounts for.
    pub(super) fn surplus(&mut self) -> Result<(), Fault> {
        for index in rows_outside(self.head, self.kept_from..self.tail.size)? {
            self.found(FileName::Head, Place::Row(index), Damage::Surplus);
        }
        for row in self.head.open_table(TILES)?.range::<&[u8; 9]>(..)? {
            let id = tile_id(row?.0.value());
            // Full ones below the kept rows should have been dropped with them.
            let dropped = id.index < full_tiles(id.level, self.kept_from);
            if id.width_at(self.tail.size) == 0 || dropped {
                self.found(FileName::Head, Place::Tile(id), Damage::Surplus);
            }
        }
        for row in self.log.open_table(TILES)?.range::<&[u8; 9]>(..)? {
            let id = tile_id(row?.0.value());
            if self.home(id) != FileName::Log {
                self.found(FileName::Log, Place::Tile(id), Damage::Surplus);
            }
        }
        Ok(())
    }
}
