//! Prepared images as their manifests tell them, with empty files of the right lengths.

use serde_json::{Value, json};
use std::fs::File;
use std::path::Path;
use std::rc::Rc;
use vhdkit::prepare::Manifest;
use vhdkit::recipe::{CannotDeploy, Hint, Hints, Language, Recipe, Request, Route};

const SIZE: u64 = 24 << 20;
/// LUNs that are not 0 and 1, so that no place can be taken for one.
pub const DATA_LUNS: [u64; 2] = [3, 10];

/// All languages.
pub fn languages() -> [Language; 3] {
    [Language::Az, Language::PowerShell, Language::Bicep]
}

/// Everything is so, or nothing.
pub fn hints(yes: bool) -> Hints {
    let hint = |what: &str| if yes { Hint::Yes(format!("{what} is there")) } else { Hint::No(format!("{what} is not there")) };
    Hints {
        secure_boot: hint("the signature"),
        nvme: hint("nvme"),
        accelerated_network: hint("mlx5_core"),
        agent: hint("the agent"),
        provisioner: hint("cloud-init"),
    }
}

#[derive(Debug, Clone)]
pub struct Image {
    dir: Rc<tempfile::TempDir>,
    pub manifest: Value,
}

impl Image {
    /// An image: `os`, `vm` (an OS disk and two data disks), or `data`.
    pub fn new(kind: &str, state: Option<&str>, generation: u8, os: &str) -> Self {
        let dir = Rc::new(tempfile::tempdir().unwrap());
        let is_data = kind == "data";
        let disk = |role: &str, lun: Option<u64>, file: String| {
            json!({
                "role": role, "lun": lun, "file": file, "virtual_size": SIZE, "upload_size_bytes": SIZE + 512,
                "fsverity": format!("sha256:{file}"), "sha256": null, "data_bytes": 0,
                "source": { "path": "x", "format": "raw", "kind": null, "unique_id": null }, "steps": []
            })
        };
        let mut disks = vec![disk(if is_data { "data" } else { "os" }, None, format!("{kind}.vhd"))];
        if kind == "vm" {
            // The manifest's order is not that of the LUNs.
            disks.extend(DATA_LUNS.iter().rev().map(|lun| disk("data", Some(*lun), format!("vm-lun{lun}.vhd"))));
        }
        let image_kind = match kind {
            "os" => json!("os-image"),
            "vm" => json!("vm-image"),
            _ => json!(null),
        };
        let known = |value: Value| if is_data { json!(null) } else { value };
        let manifest = json!({
            "schema_version": 1, "tool": { "name": "vhdkit", "version": "0" },
            "image": {
                "kind": image_kind, "name": format!("{os}-{kind}"), "state": state,
                "generation": known(json!(generation)), "architecture": known(json!("x64")), "os": known(json!(os))
            },
            "disks": disks, "verdict": "ready"
        });
        let image = Self { dir, manifest };
        image.save();
        image
    }

    /// Every kind of image.
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::new("data", None, 2, "linux")];
        for kind in ["os", "vm"] {
            for state in ["generalized", "specialized"] {
                for (generation, os) in [(1, "linux"), (2, "linux"), (2, "windows")] {
                    all.push(Self::new(kind, Some(state), generation, os));
                }
            }
        }
        all
    }

    /// Writes the manifest and its files.
    pub fn save(&self) {
        let dir = self.dir().join("image");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("manifest.json"), self.manifest.to_string()).unwrap();
        for disk in self.manifest["disks"].as_array().unwrap() {
            let file = File::create(dir.join(disk["file"].as_str().unwrap())).unwrap();
            file.set_len(disk["upload_size_bytes"].as_u64().unwrap()).unwrap();
        }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn name(&self) -> String {
        format!("{} {} {}", self.manifest["image"]["name"], self.manifest["image"]["state"], self.manifest["image"]["generation"])
    }

    pub fn state(&self) -> Option<&str> {
        self.manifest["image"]["state"].as_str()
    }

    pub fn generation(&self) -> &str {
        if self.manifest["image"]["generation"] == 1 { "V1" } else { "V2" }
    }

    pub fn os(&self) -> &str {
        if self.manifest["image"]["os"] == "linux" { "Linux" } else { "Windows" }
    }

    /// File, LUN and length of each disk, the OS disk first, then by LUN.
    pub fn disks(&self) -> Vec<(String, Option<u64>, u64)> {
        let list = self.manifest["disks"].as_array().unwrap();
        let one =
            |disk: &Value| (disk["file"].as_str().unwrap().to_owned(), disk["lun"].as_u64(), disk["upload_size_bytes"].as_u64().unwrap());
        let mut all: Vec<_> = list.iter().map(one).collect();
        all.sort_by_key(|(_, lun, _)| lun.map_or(0, |lun| lun + 1));
        all
    }

    /// Other names for the image and its files, these by their place in the order of upload.
    pub fn rename(&mut self, name: &str, file: impl Fn(usize) -> String) {
        self.manifest["image"]["name"] = json!(name);
        let order = self.disks();
        for disk in self.manifest["disks"].as_array_mut().unwrap() {
            let place = order.iter().position(|(old, _, _)| disk["file"] == json!(old)).unwrap();
            disk["file"] = json!(file(place));
        }
        self.save();
    }

    /// Another size for a disk of the manifest.
    pub fn resize(&mut self, disk: usize, size: u64) {
        self.manifest["disks"][disk]["virtual_size"] = json!(size);
        self.manifest["disks"][disk]["upload_size_bytes"] = json!(size + 512);
    }

    pub fn recipe(&self, route: Option<Route>, hints: Hints) -> Result<Recipe, CannotDeploy> {
        self.recipe_in(route, hints, "image")
    }

    fn recipe_in(&self, route: Option<Route>, hints: Hints, directory: &str) -> Result<Recipe, CannotDeploy> {
        let manifest = Manifest::parse(self.manifest.to_string().as_bytes()).unwrap();
        let request = Request { directory: directory.to_owned(), route, ..Request::default() };
        Recipe::new(&manifest, hints, &request)
    }

    pub fn write(&self, route: Route, language: Language, hints: Hints, directory: &str) -> Result<String, CannotDeploy> {
        self.recipe_in(Some(route), hints, directory)?.write(language)
    }
}
