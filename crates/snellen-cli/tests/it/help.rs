//! Help texts. New subcommands are found by themselves, in the list that their parent's help gives.

use crate::program::Home;

#[test]
fn help_of_the_program_and_every_subcommand() {
    let pages = pages(&Home::new(), "snellen");
    let commands: Vec<_> = pages.iter().map(|(command, _)| command.as_str()).collect();
    assert!(commands.contains(&"snellen exam") && commands.contains(&"snellen lab train"), "{commands:?}");
    for (command, help) in pages {
        insta::assert_snapshot!(command.replace(' ', "_"), help);
    }
}

/// The help of `command` and of those below it.
fn pages(home: &Home, command: &str) -> Vec<(String, String)> {
    let help = home.succeed(&format!("{} --help", command.trim_start_matches("snellen")));
    let listed = help.split_once("\nCommands:\n").map_or("", |(_, list)| list.split("\n\n").next().unwrap());
    let names = listed.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    let below = names.flat_map(|name| pages(home, &format!("{command} {name}"))).collect::<Vec<_>>();
    [vec![(command.to_owned(), help)], below].concat()
}
