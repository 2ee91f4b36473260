//! Calls to many: listed by a buyer once the contract has the money, accepted place by place, taken
//! back in time, delivered and paid, on a contract in memory that asks what the real one asks.

mod crash;
mod delivery;
mod fair;
mod listing;
mod noes;
mod places;
mod wallet;
mod who;
mod withdrawal;
