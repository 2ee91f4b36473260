//! Each rule of the sender, one by one.

use super::*;
