//! Registrations with vendors: L-58.

use crate::fs::{Error, NodeKind};
use crate::generalize::{Draft, Operation, Sample, System};

pub(super) static SUBSCRIPTIONS: Operation = Operation {
    name: "subscriptions",
    requirement: "L-58",
    summary: "remove the machine's registrations with vendors",
    default: true,
    plan,
    sample: Sample {
        before: &[
            ("/etc/pki/consumer/cert.pem", "x"),
            ("/etc/pki/consumer/key.pem", "x"),
            ("/etc/pki/entitlement/1234.pem", "x"),
            ("/etc/pki/product/69.pem", "x"),
            ("/etc/SUSEConnect", "url: https://scc.suse.com\n"),
            ("/var/lib/ubuntu-advantage/private/machine-token.json", "{}"),
        ],
        after: &[
            ("/etc/pki/consumer/cert.pem", None),
            ("/etc/pki/consumer/key.pem", None),
            ("/etc/pki/entitlement/1234.pem", None),
            ("/etc/SUSEConnect", None),
            ("/var/lib/ubuntu-advantage/private/machine-token.json", None),
        ],
    },
};

/// A registration: whose, where it lies, and the command that gives it up on the vendor's server too.
struct Registration {
    vendor: &'static str,
    paths: &'static [&'static str],
    leave: &'static str,
}

const REGISTRATIONS: [Registration; 6] = [
    Registration {
        vendor: "Red Hat",
        paths: &["/etc/pki/consumer/*.pem", "/etc/pki/entitlement/*.pem", "/var/lib/rhsm/facts/*", "/var/lib/rhsm/cache/*"],
        leave: "subscription-manager unregister; subscription-manager clean",
    },
    Registration {
        vendor: "Red Hat Network",
        paths: &["/etc/sysconfig/rhn/systemid", "/etc/sysconfig/rhn/osad-auth.conf"],
        leave: "delete the system on its server",
    },
    Registration {
        vendor: "Red Hat Insights",
        paths: &["/etc/insights-client/machine-id", "/etc/insights-client/.registered", "/etc/insights-client/.lastupload"],
        leave: "insights-client --unregister",
    },
    Registration {
        vendor: "SUSE",
        paths: &["/etc/SUSEConnect", "/etc/zypp/credentials.d/SCCcredentials"],
        leave: "SUSEConnect --de-register; SUSEConnect --cleanup",
    },
    Registration {
        vendor: "Ubuntu Pro",
        paths: &["/var/lib/ubuntu-advantage/private/machine-token.json", "/etc/apt/auth.conf.d/90ubuntu-advantage"],
        leave: "pro detach --assume-yes",
    },
    Registration {
        vendor: "Landscape",
        paths: &["/var/lib/landscape/client/broker.bpickle*", "/var/lib/landscape/client/*.bpickle"],
        leave: "landscape-config --disable, and remove the computer on its server",
    },
];

fn plan(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    for Registration { vendor, paths, leave } in &REGISTRATIONS {
        let mut found = false;
        for pattern in *paths {
            for path in draft.glob(pattern)? {
                if system.tree.find_link(&path)?.is_some_and(|found| found.node.kind != NodeKind::Directory) {
                    found |= draft.remove(&path, format!("every machine would take part under this one's registration with {vendor}"))?;
                }
            }
        }
        if found {
            let message = format!("the registration with {vendor} is still on the vendor's server; give it up in the source machine");
            draft.remains(message, vec![(*leave).to_owned()]);
        }
    }
    Ok(())
}
