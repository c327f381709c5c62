//! Boot configuration stores: what the Windows boot manager starts, and from where.
//!
//! A store is a registry hive: `\Boot\BCD` on the active partition (BIOS), `\EFI\Microsoft\Boot\BCD` on the EFI system partition. Objects
//! have a GUID, a type and elements; an element's number tells what it means and in which form it is kept.
//!
//! Sources: "Boot Configuration Data in Windows Vista" (Microsoft), "BCD Reference" (learn.microsoft.com, `BcdLibraryElementTypes` and its
//! neighbours), geoffchappell.com "BCD Objects" and "BCD Elements".

mod device;

pub use device::{Device, Locate, Partition};

use super::hive::{Hive, HiveError, Key, Value};
use crate::bytes::Guid;
use std::collections::BTreeSet;

/// Objects of a store at most, and elements of an object; real stores have a few dozen.
const MOST: usize = 4096;
/// Problems that are kept.
const MOST_PROBLEMS: usize = 100;

/// Objects that have the same GUID in every store.
pub mod known {
    use crate::bytes::Guid;

    /// `{bootmgr}`: the boot manager.
    pub const BOOT_MANAGER: Guid = Guid(0x9dea_862c_5cdd_4e70_acc1_f32b_344d_4795_u128.to_be_bytes());
    /// `{fwbootmgr}`: the firmware's boot manager.
    pub const FIRMWARE_BOOT_MANAGER: Guid = Guid(0xa5a3_0fa2_3d06_4e9f_b5f4_a01d_f9d1_fcba_u128.to_be_bytes());
    /// `{memdiag}`: the memory test.
    pub const MEMORY_TEST: Guid = Guid(0xb272_1d73_1db4_4c62_bf78_c548_a880_142d_u128.to_be_bytes());
    /// `{emssettings}`: the emergency management services' port.
    pub const EMS_SETTINGS: Guid = Guid(0x0ce4_991b_e6b3_4b16_b23c_5e0d_9250_e5d9_u128.to_be_bytes());
    /// `{dbgsettings}`: the debugger's port.
    pub const DEBUGGER_SETTINGS: Guid = Guid(0x4636_856e_540f_4170_a130_a847_76f4_c654_u128.to_be_bytes());
    /// `{globalsettings}`: what all applications inherit.
    pub const GLOBAL_SETTINGS: Guid = Guid(0x7ea2_e1ac_2e61_4728_aaa3_896d_9d0a_9f0e_u128.to_be_bytes());
    /// `{bootloadersettings}`: what all loaders inherit.
    pub const LOADER_SETTINGS: Guid = Guid(0x6efb_52bf_1766_41db_a6b3_0ee5_eff7_2bd7_u128.to_be_bytes());
    /// `{default}`, where a store says so and not which.
    pub const DEFAULT: Guid = Guid(0x1cae_1eb7_a0df_4d4d_9851_4860_e34e_f535_u128.to_be_bytes());
}

/// Types of objects.
pub mod kind {
    /// A boot manager.
    pub const BOOT_MANAGER: u32 = 0x1010_0002;
    /// A loader of Windows.
    pub const LOADER: u32 = 0x1020_0003;
    /// What resumes Windows from hibernation.
    pub const RESUME: u32 = 0x1020_0004;
}

/// Numbers of elements: what the preparation of a disk for Azure looks at.
pub mod element {
    /// Where the application is: a device.
    pub const DEVICE: u32 = 0x1100_0001;
    /// The application's path on it.
    pub const PATH: u32 = 0x1200_0002;
    /// What menus show.
    pub const DESCRIPTION: u32 = 0x1200_0004;
    /// Objects whose elements count too.
    pub const INHERIT: u32 = 0x1400_0006;
    /// Whether the recovery environment starts after failures.
    pub const RECOVERY_ENABLED: u32 = 0x1600_0009;
    /// Whether the boot manager or loader uses the serial console.
    pub const BOOT_EMS: u32 = 0x1600_0020;
    /// The serial console's port.
    pub const EMS_PORT: u32 = 0x1500_0022;
    /// Its speed.
    pub const EMS_BAUD_RATE: u32 = 0x1500_0023;
    /// Whether unsigned code may be loaded.
    pub const NO_INTEGRITY_CHECKS: u32 = 0x1600_0048;
    /// Whether test signatures count.
    pub const TEST_SIGNING: u32 = 0x1600_0049;
    /// Where Windows is: a device.
    pub const OS_DEVICE: u32 = 0x2100_0001;
    /// The directory of Windows on it.
    pub const SYSTEM_ROOT: u32 = 0x2200_0002;
    /// In the boot manager: the object that is started.
    pub const DEFAULT_OBJECT: u32 = 0x2300_0003;
    /// In the boot manager: the objects of the menu.
    pub const DISPLAY_ORDER: u32 = 0x2400_0001;
    /// In the boot manager: how many seconds the menu waits.
    pub const TIMEOUT: u32 = 0x2500_0004;
    /// In the boot manager: whether there is a menu.
    pub const DISPLAY_MENU: u32 = 0x2600_0020;
    /// Safe mode, when it is there.
    pub const SAFE_BOOT: u32 = 0x2500_0080;
    /// What a loader does after failures.
    pub const BOOT_STATUS_POLICY: u32 = 0x2500_00e0;
    /// Whether Windows itself uses the serial console.
    pub const EMS: u32 = 0x2600_00b0;
}

/// Why there is no store to read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BcdError {
    /// The hive has no objects of a store.
    #[error("not a boot configuration store: the hive has no key Objects")]
    NotAStore,
    /// More objects, or elements in one, than are read.
    #[error("a boot configuration store with more than {0} {1}")]
    TooMany(usize, &'static str),
    /// The hive cannot be read.
    #[error(transparent)]
    Hive(#[from] HiveError),
}

/// A boot configuration store.
#[derive(Debug, Clone)]
pub struct Store {
    /// Objects by GUID.
    objects: Vec<Object>,
    problems: Vec<String>,
}

/// An object: an application, or settings.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its identity.
    pub id: Guid,
    /// Its type, such as [`kind::LOADER`]; `None` where the store does not say.
    pub kind: Option<u32>,
    /// Its elements by number.
    pub elements: Vec<Element>,
}

/// An element of an object.
#[derive(Debug, Clone)]
pub struct Element {
    /// What it is, such as [`element::DEVICE`].
    pub id: u32,
    /// As the registry keeps it.
    pub raw: Value,
}

/// What an element says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// A device; with it, the object that has options for it (a RAM disk's image).
    Device {
        /// Which device.
        device: Device,
        /// The object with its options.
        options: Option<Guid>,
    },
    /// Text.
    Text(String),
    /// Another object.
    Guid(Guid),
    /// Other objects.
    Guids(Vec<Guid>),
    /// A number.
    Integer(u64),
    /// Yes or no.
    Boolean(bool),
    /// Numbers.
    Integers(Vec<u64>),
    /// Something else, or something that does not fit its number: the form (bits 24 to 27 of the number) and the bytes.
    Other(u32, Vec<u8>),
}

impl Store {
    /// Reads all objects of a store.
    ///
    /// Objects and elements that cannot be read are left out and named in [`Store::problems`].
    ///
    /// # Errors
    ///
    /// When the hive holds no store, or cannot be read at all.
    pub fn read(hive: &Hive) -> Result<Self, BcdError> {
        let keys = hive.key("Objects")?.ok_or(BcdError::NotAStore)?.keys()?;
        if keys.len() > MOST {
            return Err(BcdError::TooMany(MOST, "objects"));
        }
        let mut store = Self { objects: Vec::new(), problems: Vec::new() };
        for key in keys {
            let name = key.name();
            match parse_guid(&name) {
                Some(id) => {
                    let object = store.object_at(&key, id)?;
                    store.objects.push(object);
                }
                None => store.note(format!("the object {name:?} has no GUID for its name")),
            }
        }
        for damage in hive.damage() {
            store.note(damage.to_string());
        }
        store.objects.sort_by_key(|object| object.id);
        store.objects.dedup_by_key(|object| object.id);
        Ok(store)
    }

    /// The object whose key this is.
    fn object_at(&mut self, key: &Key<'_>, id: Guid) -> Result<Object, BcdError> {
        let kind = key.key("Description").and_then(|key| key.map_or(Ok(None), |key| key.value("Type")));
        let kind = match kind {
            Ok(kind) => kind.and_then(|kind| kind.dword()),
            Err(error) => {
                self.note(format!("the type of object {id}: {error}"));
                None
            }
        };
        let mut object = Object { id, kind, elements: Vec::new() };
        let keys = match key.key("Elements").and_then(|key| key.map_or_else(|| Ok(Vec::new()), |key| key.keys())) {
            Ok(keys) => keys,
            Err(error) => {
                self.note(format!("the elements of object {id}: {error}"));
                Vec::new()
            }
        };
        if keys.len() > MOST {
            return Err(BcdError::TooMany(MOST, "elements in an object"));
        }
        for key in keys {
            let name = key.name();
            let number = u32::from_str_radix(&name, 16).ok().filter(|_| name.len() == 8);
            match (number, key.value("Element")) {
                (Some(number), Ok(Some(raw))) => object.elements.push(Element { id: number, raw }),
                (None, _) => self.note(format!("the element {name:?} of object {id} has no number for its name")),
                (_, Ok(None)) => self.note(format!("the element {name} of object {id} has no value")),
                (_, Err(error)) => self.note(format!("the element {name} of object {id}: {error}")),
            }
        }
        object.elements.sort_by_key(|element| element.id);
        object.elements.dedup_by_key(|element| element.id);
        Ok(object)
    }

    fn note(&mut self, problem: String) {
        if self.problems.len() < MOST_PROBLEMS && !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// What could not be read.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// All objects, by GUID.
    #[must_use]
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// The object with this GUID; `{default}` leads to the boot manager's default.
    #[must_use]
    pub fn object(&self, id: Guid) -> Option<&Object> {
        let named = |id: Guid| self.objects.binary_search_by_key(&id, |object| object.id).ok().and_then(|place| self.objects.get(place));
        match named(id) {
            None if id == known::DEFAULT => match named(known::BOOT_MANAGER)?.setting(element::DEFAULT_OBJECT)? {
                Setting::Guid(id) => named(id),
                _ => None,
            },
            found => found,
        }
    }

    /// The boot manager.
    #[must_use]
    pub fn boot_manager(&self) -> Option<&Object> {
        self.object(known::BOOT_MANAGER)
    }

    /// What the boot manager starts when nobody chooses; without its word for it, the first object of its menu.
    #[must_use]
    pub fn default_object(&self) -> Option<&Object> {
        match self.boot_manager()?.setting(element::DEFAULT_OBJECT) {
            Some(Setting::Guid(id)) => self.object(id),
            _ => self.display_order().first().and_then(|id| self.object(*id)),
        }
    }

    /// The objects of the boot manager's menu.
    #[must_use]
    pub fn display_order(&self) -> Vec<Guid> {
        match self.boot_manager().and_then(|manager| manager.setting(element::DISPLAY_ORDER)) {
            Some(Setting::Guids(ids)) => ids,
            _ => Vec::new(),
        }
    }

    /// What the element `id` says for `object`: its own, or that of the first object it inherits from that has one.
    #[must_use]
    pub fn effective(&self, object: &Object, id: u32) -> Option<Setting> {
        let mut seen = BTreeSet::new();
        let mut todo = vec![object];
        while let Some(object) = todo.pop() {
            if !seen.insert(object.id) {
                continue;
            }
            if let Some(setting) = object.setting(id) {
                return Some(setting);
            }
            if let Some(Setting::Guids(parents)) = object.setting(element::INHERIT) {
                todo.extend(parents.iter().rev().filter_map(|id| self.object(*id)));
            }
        }
        None
    }
}

impl Object {
    /// What the object's own element `id` says.
    #[must_use]
    pub fn setting(&self, id: u32) -> Option<Setting> {
        self.elements.iter().find(|element| element.id == id).map(Element::setting)
    }

    /// The text of an element.
    #[must_use]
    pub fn text(&self, id: u32) -> Option<String> {
        match self.setting(id)? {
            Setting::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl Element {
    /// What the element says, read in the form that its number asks for.
    #[must_use]
    pub fn setting(&self) -> Setting {
        let form = self.id.checked_shr(24).unwrap_or_default() & 0xf;
        let read = match form {
            1 => device::read(&self.raw.data).map(|(device, options)| Setting::Device { device, options }),
            2 => self.raw.text().map(Setting::Text),
            3 => self.raw.text().and_then(|text| parse_guid(&text)).map(Setting::Guid),
            4 => self.raw.texts().and_then(|texts| texts.iter().map(|text| parse_guid(text)).collect::<Option<_>>()).map(Setting::Guids),
            5 => integer(&self.raw.data).map(Setting::Integer),
            6 => self.raw.data.first().map(|byte| Setting::Boolean(*byte != 0)),
            7 => Some(Setting::Integers(self.raw.data.chunks(8).filter_map(integer).collect())),
            _ => None,
        };
        read.unwrap_or_else(|| Setting::Other(form, self.raw.data.clone()))
    }
}

/// A little-endian number of one to eight bytes: writers leave out zeros at the end.
fn integer(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || bytes.len() > 8 {
        return None;
    }
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// A GUID as registry texts have it: 32 digits in five groups, between braces or without.
fn parse_guid(text: &str) -> Option<Guid> {
    let inner = text.strip_prefix('{').map_or(Some(text), |rest| rest.strip_suffix('}'))?;
    let groups: Vec<&str> = inner.split('-').collect();
    let fits = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) && inner.chars().all(|c| c == '-' || c.is_ascii_hexdigit());
    let number = u128::from_str_radix(&groups.concat(), 16).ok().filter(|_| fits)?;
    Some(Guid(number.to_be_bytes()))
}

#[cfg(test)]
mod tests;
