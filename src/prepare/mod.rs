//! Writing the files that are ready: plan, build, copy, reread, publish.

mod changed;
pub mod copy;
mod execute;
pub mod fsverity;
mod generalized;
mod host;
mod image;
mod left;
mod lock;
mod manifest;
mod output;
mod plan;
mod publish;
mod reflink;
mod share;
pub mod staged;
mod verify;

pub use changed::{Changed, changed_facts};
pub use execute::{WriteError, inspect_planned, publish_text, reread, stage_text, write};
pub use generalized::{DoneChange, DoneOperation, Generalized, action};
pub use image::{CannotBuild, Identity, build};
pub use left::take_left;
pub use manifest::{Accepted, BadManifest, Disk, Image, MANIFEST, MAX_MANIFEST, Manifest, SUMS, Source, Tool, Waived, is_plain_name};
pub use plan::{CannotPlan, Plan, Step, blockers, plan};
pub use publish::{CannotPublish, publish_all};
pub use share::Share;
pub use verify::{CannotVerify, Verified, verify};
