//! Shares of what there is only so much of, so that nobody can take all of it from the others:
//! of bytes that are held for a moment ([`Pool`]), and of places that are kept ([`Kept`]).

use crate::client::Client;
use crate::limits::{ONES_PART, STRANGERS_PART};
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes that are held for a moment: of one holder a part at most, of all strangers together a part
/// at most. Who gets none is told to come back.
#[derive(Debug)]
pub(crate) struct Pool<H> {
    most: usize,
    held: Mutex<Held<H>>,
}

#[derive(Debug)]
struct Held<H> {
    all: usize,
    by_strangers: usize,
    by_one: HashMap<H, usize>,
}

/// What one body holds; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share<'a, H: Copy + Eq + Hash> {
    pool: &'a Pool<H>,
    holder: H,
    is_known: bool,
    bytes: usize,
}

impl<H: Copy + Eq + Hash> Pool<H> {
    pub(crate) fn new(most: usize) -> Self {
        let held = Held { all: 0, by_strangers: 0, by_one: HashMap::new() };
        Self { most, held: Mutex::new(held) }
    }

    /// An empty share.
    pub(crate) fn share(&self, holder: H, is_known: bool) -> Share<'_, H> {
        Share { pool: self, holder, is_known, bytes: 0 }
    }

    fn lock(&self) -> MutexGuard<'_, Held<H>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H: Copy + Eq + Hash> Share<'_, H> {
    pub(crate) fn is_known(&self) -> bool {
        self.is_known
    }

    /// Holds so many bytes more, or says that there are none to be had.
    #[must_use]
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        let (most, mut held) = (self.pool.most, self.pool.lock());
        let by_strangers = held.by_strangers + if self.is_known { 0 } else { bytes };
        let all = held.all + bytes;
        let by_one = held.by_one.get(&self.holder).copied().unwrap_or_default() + bytes;
        if all > most || by_strangers > most / STRANGERS_PART || by_one > most / ONES_PART {
            return false;
        }
        held.all = all;
        held.by_strangers = by_strangers;
        held.by_one.insert(self.holder, by_one);
        self.bytes += bytes;
        true
    }
}

impl<H: Copy + Eq + Hash> Drop for Share<'_, H> {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut held = self.pool.lock();
        held.all -= self.bytes;
        if !self.is_known {
            held.by_strangers -= self.bytes;
        }
        if let Some(by_one) = held.by_one.get_mut(&self.holder) {
            *by_one -= self.bytes;
            if *by_one == 0 {
                held.by_one.remove(&self.holder);
            }
        }
    }
}

/// So many places, by client; `most` are those of all clients. Where there are none left, the oldest of whoever has most gives way:
/// nobody is refused, and whoever takes many takes them from itself.
#[derive(Debug)]
pub(crate) struct Kept<K, V> {
    most: usize,
    most_of_client: usize,
    next: u64,
    /// Places that are of somebody's share.
    shared: usize,
    places: HashMap<K, Place<V>>,
    /// Keys of each client, oldest first.
    clients: BTreeMap<Client, BTreeMap<u64, K>>,
    /// Clients by how many places they have.
    sizes: BTreeSet<(usize, Client)>,
}

#[derive(Debug)]
struct Place<V> {
    value: V,
    /// Whose share it is of, and its number there; none for what never gives way.
    of: Option<(Client, u64)>,
}

impl<K: Clone + Eq + Hash, V> Kept<K, V> {
    pub(crate) fn new(most: usize, most_of_client: usize) -> Self {
        Self {
            most,
            most_of_client,
            next: 0,
            shared: 0,
            places: HashMap::new(),
            clients: BTreeMap::new(),
            sizes: BTreeSet::new(),
        }
    }

    /// Keeps `value`, and returns what gave way to it. Without a client it is of nobody's share.
    pub(crate) fn insert(&mut self, key: K, value: V, of: Option<Client>) -> Option<V> {
        let gone = self.remove(&key).or_else(|| self.make_room(of?));
        let of = of.map(|client| {
            self.next += 1;
            self.shared += 1;
            let before = self.clients.entry(client).or_default();
            self.sizes.remove(&(before.len(), client));
            before.insert(self.next, key.clone());
            self.sizes.insert((before.len(), client));
            (client, self.next)
        });
        self.places.insert(key, Place { value, of });
        gone
    }

    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.places.get(key).map(|place| &place.value)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.places.values().map(|place| &place.value)
    }

    pub(crate) fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let Place { value, of } = self.places.remove(key)?;
        if let Some((client, number)) = of {
            self.forget(client, number);
        }
        Some(value)
    }

    /// Takes out what does not hold any more.
    pub(crate) fn take_unless(&mut self, holds: impl Fn(&V) -> bool) -> Vec<V> {
        let gone = self.places.iter().filter(|(_, place)| !holds(&place.value));
        let gone: Vec<K> = gone.map(|(key, _)| key.clone()).collect();
        gone.iter().filter_map(|key| self.remove(key)).collect()
    }

    /// A client that has its share makes room itself; else, if all is taken, whoever has most.
    fn make_room(&mut self, client: Client) -> Option<V> {
        let own = self.clients.get(&client).map_or(0, BTreeMap::len);
        let from = match own >= self.most_of_client {
            true => client,
            false if self.shared < self.most => return None,
            false => self.sizes.last()?.1,
        };
        let (_, oldest) = self.clients.get(&from)?.first_key_value()?;
        let oldest = oldest.clone();
        self.remove(&oldest)
    }

    fn forget(&mut self, client: Client, number: u64) {
        let Some(places) = self.clients.get_mut(&client) else { return };
        self.sizes.remove(&(places.len(), client));
        if places.remove(&number).is_some() {
            self.shared -= 1;
        }
        match places.len() {
            0 => _ = self.clients.remove(&client),
            left => _ = self.sizes.insert((left, client)),
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn client(last: u8) -> Client {
        Client::at([192, 0, 2, last].into())
    }

    #[test]
    fn one_holder_and_all_strangers_leave_the_rest_to_who_is_known() {
        let pool = Pool::new(80);
        let mut shares = Vec::new();
        let mut hold = |holder: u8, is_known, bytes| {
            let mut share = pool.share(holder, is_known);
            let held = share.grow(bytes);
            shares.push(share);
            held
        };
        assert!(hold(1, false, 20));
        assert!(!hold(1, false, 1), "a quarter is one's");
        assert!(hold(2, false, 20));
        assert!(!hold(3, false, 1), "half is strangers'");
        assert!(hold(4, true, 20));
        assert!(!hold(4, true, 1), "a quarter is one's, known or not");
        assert!(hold(5, true, 20));
        assert!(!hold(6, true, 1), "all is taken");
        shares.remove(0);
        assert!(pool.share(3, false).grow(20), "what was given back can be had");
        drop(shares);
        let held = pool.lock();
        assert_eq!((held.all, held.by_strangers, held.by_one.len()), (0, 0, 0));
    }

    #[test]
    fn whoever_takes_many_places_takes_them_from_itself() {
        let mut kept = Kept::new(10, 6);
        assert_eq!(kept.insert(0, 0, None), None);
        for key in 1..=6 {
            assert_eq!(kept.insert(key, key, Some(client(1))), None);
        }
        assert_eq!(kept.insert(7, 7, Some(client(1))), Some(1), "its own oldest");
        for (key, gone) in
            [(8, None), (9, None), (10, None), (11, None), (12, Some(2)), (13, Some(8))]
        {
            assert_eq!(kept.insert(key, key, Some(client(2))), gone, "of who has most");
        }
        assert_eq!(kept.get(&0), Some(&0), "what is of nobody's share never gives way");
    }

    proptest! {
        #[test]
        fn places_and_shares_stay_the_same_and_nobody_is_refused(
            steps in prop::collection::vec((0u8..5, 0u16..40, any::<bool>()), 1..200)
        ) {
            let mut kept = Kept::new(12, 5);
            for (number, (from, key, is_in)) in steps.into_iter().enumerate() {
                if is_in {
                    let key = 1000 + number as u16;
                    kept.insert(key, key, (from > 0).then(|| client(from)));
                    prop_assert_eq!(kept.get(&key), Some(&key));
                } else {
                    kept.remove(&(1000 + key));
                }
                let of_clients: usize = kept.clients.values().map(BTreeMap::len).sum();
                let of_nobody = kept.places.values().filter(|place| place.of.is_none()).count();
                prop_assert_eq!(of_clients + of_nobody, kept.len());
                prop_assert!(of_clients <= 12 && kept.clients.values().all(|own| own.len() <= 5));
                let sizes: BTreeSet<_> =
                    kept.clients.iter().map(|(client, own)| (own.len(), *client)).collect();
                prop_assert_eq!(&sizes, &kept.sizes);
            }
        }
    }
}
