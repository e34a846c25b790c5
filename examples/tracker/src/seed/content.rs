//! Who and what the example data is about.

use kernel_core::Role;

use crate::label::Colour;

/// Everybody's password. It protects nothing: seeds are refused in production.
pub const PASSWORD: &str = "tracker for everyone";

/// The slug of the workspace that everybody may look around in.
pub const DEMO: &str = "demo";

/// Everybody, by name; [`email`] gives their addresses.
pub const PEOPLE: &[&str] = &[
    "Ana Ferreira",
    "Kofi Mensah",
    "Mei Tanaka",
    "Lars Nygaard",
    "Priya Raman",
    "Diego Morales",
    "Zofia Kowalska",
    "Tariq Haddad",
    "Noor Aziz",
    "Ivan Petrov",
    "Chloe Martin",
    "Sefa Yilmaz",
    "Amara Okafor",
    "Jonas Weber",
    "Lucia Romano",
    "Minh Tran",
    "Elin Berg",
    "Samuel Cohen",
    "Fatou Diallo",
    "Oscar Lindgren",
];

/// The address of somebody in [`PEOPLE`]: their first name at example.com.
#[must_use]
pub fn email(name: &str) -> String {
    let first = name.split(' ').next().unwrap_or_default().to_lowercase();
    format!("{first}@example.com")
}

/// A workspace and what is in it. People are named by their place in [`PEOPLE`].
#[derive(Debug)]
pub(super) struct WorkspaceContent {
    pub(super) name: &'static str,
    pub(super) slug: &'static str,
    pub(super) owner: usize,
    admins: &'static [usize],
    workers: &'static [usize],
    viewers: &'static [usize],
    pub(super) projects: &'static [ProjectContent],
}

#[derive(Debug)]
pub(super) struct ProjectContent {
    pub(super) name: &'static str,
    pub(super) key: &'static str,
    pub(super) description: &'static str,
    pub(super) issues: &'static [&'static str],
}

impl WorkspaceContent {
    /// Everybody but the owner.
    pub(super) fn members(&self) -> impl Iterator<Item = (usize, Role)> {
        let with = |people: &'static [usize], role| people.iter().map(move |person| (*person, role));
        with(self.admins, Role::Admin)
            .chain(with(self.workers, Role::Member))
            .chain(with(self.viewers, Role::Viewer))
    }
}

/// What an issue says, beside its title.
pub(super) fn body(index: usize, project: &str) -> String {
    match index % 4 {
        0 => String::new(),
        1 => format!("Reported twice this week.\n\nSeen in {project} on a small screen, not on a large one."),
        2 => "Done when:\n- it works for somebody who has never seen it\n- there is a test for it".to_owned(),
        _ => "Ask whoever reported it what they expected to see.".to_owned(),
    }
}

/// What people say about an issue: nothing, or something, or a whole conversation.
pub(super) fn said(index: usize, length: usize) -> &'static [&'static str] {
    const SAYINGS: [&[&str]; 5] = [
        &[],
        &["I saw this on Tuesday as well."],
        &[],
        &[
            "How often does it happen?",
            "About once a day, always in the morning.",
            "Then I know where to look.",
        ],
        &["The test for it is written; it fails as it should."],
    ];
    SAYINGS[(index * 3 + length) % SAYINGS.len()]
}

/// The labels of every workspace.
pub(super) const LABELS: &[(&str, Colour)] = &[
    ("bug", Colour::Red),
    ("customer", Colour::Orange),
    ("documentation", Colour::Blue),
    ("idea", Colour::Purple),
    ("small", Colour::Teal),
];

const EVERYBODY_ELSE: &[usize] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19];

pub(super) const WORKSPACES: &[WorkspaceContent] = &[
    WorkspaceContent {
        name: "Northwind Robotics",
        slug: "northwind",
        owner: 0,
        admins: &[1],
        workers: &[2, 3, 4],
        viewers: &[5],
        projects: &[
            ProjectContent {
                name: "Arm controller",
                key: "ARM",
                description: "Firmware and calibration of the six-axis arm.",
                issues: &[
                    "Joint 4 overshoots after a cold start",
                    "Log the motor temperature once a second",
                    "Emergency stop needs 40 ms too long",
                    "Calibration forgets the tool's weight",
                    "Update the bootloader over the field bus",
                    "Encoder noise near the charging dock",
                    "Gripper closes twice when the network drops",
                    "Describe the wiring of the second brake",
                    "Simulate a blocked joint in the test bench",
                    "Watchdog resets without leaving a trace",
                    "Reduce the boot time below three seconds",
                    "Support the 24-bit encoder of revision C",
                ],
            },
            ProjectContent {
                name: "Fleet console",
                key: "FLEET",
                description: "What operators see of all robots on a site.",
                issues: &[
                    "Map shows robots that were switched off",
                    "Filter alarms by hall",
                    "Battery forecast is too optimistic in winter",
                    "Export a shift report as PDF",
                    "Two operators can claim the same robot",
                    "Colour-blind people cannot tell the states apart",
                    "Keep the zoom level after a reload",
                    "Show who acknowledged an alarm",
                    "Slow list with more than 300 robots",
                    "Translate the console into Polish",
                ],
            },
        ],
    },
    WorkspaceContent {
        name: "Blue Harbor Coffee",
        slug: "blue-harbor",
        owner: 5,
        admins: &[6],
        workers: &[7, 8],
        viewers: &[0, 9],
        projects: &[
            ProjectContent {
                name: "Online shop",
                key: "SHOP",
                description: "Beans, subscriptions and gift cards.",
                issues: &[
                    "Gift cards cannot pay for shipping",
                    "Subscription skips a month in February",
                    "Show roast dates on the product page",
                    "Postal codes with letters are refused",
                    "Basket is empty after logging in",
                    "Offer decaf in the sampler box",
                    "Invoice has the wrong tax for Norway",
                    "Photos load slowly on the phone",
                    "Ask for a review two weeks after delivery",
                    "Pausing a subscription sends no mail",
                    "Sold-out beans can still be ordered",
                ],
            },
            ProjectContent {
                name: "Roastery",
                key: "ROAST",
                description: "Machines, batches and quality.",
                issues: &[
                    "Record humidity for each batch",
                    "Print labels in the order of the shelves",
                    "Scale drifts after lunch",
                    "Plan the cleaning of the big roaster",
                    "Alert when a batch is too dark",
                    "Green beans arrive without lot numbers",
                    "Compare this year's profiles with last year's",
                    "Move the cupping notes out of the spreadsheet",
                ],
            },
        ],
    },
    WorkspaceContent {
        name: "Cedar Street Clinic",
        slug: "cedar-clinic",
        owner: 10,
        admins: &[11, 12],
        workers: &[13],
        viewers: &[14, 15],
        projects: &[ProjectContent {
            name: "Appointments",
            key: "APPT",
            description: "Booking, reminders and the waiting list.",
            issues: &[
                "Reminders arrive in the wrong time zone",
                "Two patients can book the same slot",
                "Waiting list ignores cancelled visits",
                "Let parents book for their children",
                "Calendar of the ward starts on Sunday",
                "Screen reader skips the slot picker",
                "Text messages break umlauts",
                "Show travel time between the two houses",
                "No-show rate by weekday",
                "Block slots during staff meetings",
                "Cancelling takes five clicks",
                "Interpreter can be asked for at booking",
                "Phone bookings do not appear until noon",
                "Mask names on the public display",
                "Sync with the doctors' own calendars",
                "Print the day's list in large type",
            ],
        }],
    },
    WorkspaceContent {
        name: "Delta Freight",
        slug: "delta-freight",
        owner: 15,
        admins: &[16],
        workers: &[17, 18, 19],
        viewers: &[1],
        projects: &[
            ProjectContent {
                name: "Dispatch",
                key: "DISP",
                description: "Which truck goes where, and when.",
                issues: &[
                    "Route planner ignores the low bridge in Lund",
                    "Drivers see yesterday's stops",
                    "Split a load over two trucks",
                    "Rest times are counted twice across borders",
                    "Warn before a dock is double-booked",
                    "Import orders from the new customer portal",
                    "Show the trailer's number on the door sign",
                    "Fuel price per country",
                    "Re-plan when a driver calls in sick",
                    "Distance is rounded up on short trips",
                ],
            },
            ProjectContent {
                name: "Customs papers",
                key: "CUST",
                description: "Everything that has to be signed at a border.",
                issues: &[
                    "Form 12 prints half a page",
                    "Remember the last consignee",
                    "Weights differ between the two declarations",
                    "Archive papers after ten years",
                    "Signature is lost when the tablet sleeps",
                    "New tariff codes from July",
                ],
            },
        ],
    },
    WorkspaceContent {
        name: "Elm Park School",
        slug: "elm-park",
        owner: 2,
        admins: &[3],
        workers: &[9, 10],
        viewers: &[19, 18, 17],
        projects: &[ProjectContent {
            name: "Library",
            key: "LIB",
            description: "Loans, reminders and the reading competition.",
            issues: &[
                "Scanner reads old labels as new ones",
                "Overdue mail goes to last year's class",
                "Reserve a whole set for a class",
                "List books that nobody has borrowed for years",
                "Reading competition counts comics twice",
                "Covers are missing in the catalogue",
                "Lost books stay on the shelf plan",
                "Teachers want to renew during the holidays",
            ],
        }],
    },
    WorkspaceContent {
        name: "Demo",
        slug: DEMO,
        owner: 0,
        admins: &[],
        workers: &[],
        viewers: EVERYBODY_ELSE,
        projects: &[ProjectContent {
            name: "Website",
            key: "WEB",
            description: "Look around: everybody can read here, and nobody but the owner can change anything.",
            issues: &[
                "Headline is cut off on small phones",
                "Add a page about accessibility",
                "Contact form accepts an empty message",
                "Menu cannot be closed with the keyboard",
                "Write down how we name our pages",
                "Images without descriptions on the start page",
                "Link to the imprint leads nowhere",
                "Dark mode makes the map unreadable",
                "Search finds nothing with two words",
                "Old newsletter links end in an error",
                "Check the colours for contrast",
                "Speed up the first visit",
                "Show opening hours of the next week",
            ],
        }],
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_example_is_as_large_as_promised_and_holds_every_role() {
        // Each workspace is given one more issue by the product itself.
        let issues =
            WORKSPACES.iter().flat_map(|workspace| workspace.projects).map(|project| project.issues.len());
        assert_eq!(issues.sum::<usize>() + WORKSPACES.len(), 100);
        assert_eq!((WORKSPACES.len(), PEOPLE.len()), (6, 20));
        let addresses: BTreeSet<_> = PEOPLE.iter().map(|name| email(name)).collect();
        assert_eq!(addresses.len(), PEOPLE.len());
        for workspace in WORKSPACES {
            let mut seen = BTreeSet::from([workspace.owner]);
            assert!(workspace.members().all(|(person, _)| seen.insert(person)), "{}", workspace.slug);
        }
        for role in [Role::Admin, Role::Member, Role::Viewer] {
            assert!(WORKSPACES[0].members().any(|(_, has)| has == role), "nobody is {role}");
        }
    }
}
