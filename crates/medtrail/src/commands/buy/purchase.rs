//! A purchase's folder: the order before anything is paid, and what comes of it. Private to its
//! owner, for what is opened in it is about a person.

use super::next::Held;
use crate::commands::delivery::input::{ORDER_BYTES_MAX, order_in};
use crate::exit::Failure;
use medtrail_keys::file::{self, FILE_MODE, FOLDER_MODE};
use medtrail_permit::sale::Order;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The folder of one purchase.
pub(crate) struct Purchase {
    folder: PathBuf,
}

impl Purchase {
    /// At this folder, whether or not it is there.
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn order_file(&self) -> PathBuf {
        self.path("order.json")
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The order of an earlier run; none: there was none.
    pub(super) fn order(&self) -> Result<Option<Order>, Failure> {
        let path = self.order_file();
        if !path.exists() {
            return Ok(None);
        }
        order_in(&path, &file::read(&path, ORDER_BYTES_MAX as u64)?).map(Some)
    }

    /// Makes the folder, open to its owner alone.
    pub(crate) fn make(&self) -> Result<(), Failure> {
        let made = fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&self.folder);
        made.map_err(|error| Failure::new(format!("{}: {error}", self.folder.display())))
    }

    /// Keeps an order, durably, before it is paid. The order's file comes last: with it all is there.
    pub(super) fn begin(
        &self,
        order: &Order,
        dataset: &str,
        offer: &serde_json::Value,
    ) -> Result<(), Failure> {
        self.make()?;
        self.replace("offer.json", format!("{offer:#}\n").as_bytes())?;
        self.replace("dataset.json", dataset.as_bytes())?;
        file::create(&self.order_file(), &serde_json::to_vec_pretty(order)?)?;
        Ok(())
    }

    /// Writes a file whole, in the place of an earlier one.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let (path, new) = (self.path(name), self.path(&format!(".{name}.new")));
        let written = || {
            let mut options = OpenOptions::new();
            let options = options.write(true).create(true).truncate(true).mode(FILE_MODE);
            let mut file = options.open(&new)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        written().map_err(|error| Failure::new(format!("{}: {error}", path.display())))
    }

    /// What stands in it.
    pub(super) fn held(&self) -> Held {
        Held {
            file: self.path("delivery.age").exists(),
            proof: self.path("proof.json").exists(),
            opened: self.path("data").exists(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::os::unix::fs::PermissionsExt;

    fn order(salt: u8) -> Order {
        Order { salt: [salt; 32].into(), ..Order::default() }
    }

    #[test]
    fn an_order_that_was_kept_is_never_replaced_by_another() {
        let home = tempfile::tempdir().unwrap();
        let purchase = Purchase::at(home.path().join("a/b"));
        assert!(matches!(purchase.order(), Ok(None)));
        assert!(purchase.begin(&order(1), "{}", &json!({})).is_ok());
        assert!(purchase.begin(&order(2), "{}", &json!({})).is_err());
        let kept = purchase.order();
        assert!(matches!(kept, Ok(Some(kept)) if kept == order(1)));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(purchase.folder()), mode(&purchase.order_file())), (0o700, 0o600));
        assert_eq!(mode(&purchase.path("dataset.json")), 0o600);
    }

    #[test]
    fn what_a_cut_off_run_left_before_the_order_stands_in_nobody_s_way() {
        let home = tempfile::tempdir().unwrap();
        let purchase = Purchase::at(home.path().join("a"));
        fs::create_dir(purchase.folder()).unwrap();
        for name in ["offer.json", "dataset.json", ".offer.json.new", ".order.json.new"] {
            fs::write(purchase.path(name), b"torn").unwrap();
        }
        assert!(purchase.begin(&order(1), "{}", &json!({})).is_ok());
        assert_eq!(fs::read(purchase.path("dataset.json")).unwrap(), b"{}");
    }

    #[test]
    fn a_damaged_order_is_told_and_not_paid_for_anew() {
        let home = tempfile::tempdir().unwrap();
        let purchase = Purchase::at(home.path().to_owned());
        fs::write(purchase.order_file(), b"{").unwrap();
        fs::set_permissions(purchase.order_file(), fs::Permissions::from_mode(0o600)).unwrap();
        assert!(purchase.order().is_err());
    }
}
