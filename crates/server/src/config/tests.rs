use super::*;

fn with(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, Vec<ConfigError>> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("aumbry.toml"), text).unwrap();
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    load(None, &Environment { variables, folder: folder.path().to_owned() }, |_| {})
}

fn problem(text: &str) -> String {
    with(text, &[]).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn defaults_are_inside_their_own_ranges() {
    let config = with("", &[]).unwrap().config;
    assert_eq!(config.rest.listen.to_string(), "127.0.0.1:7480");
    assert!(config.rest.listen.ip().is_loopback() && config.server.trusted_proxies.0.is_empty());
}

#[test]
fn cfg_01_a_key_that_is_not_there_stops_the_start_with_line_and_suggestion() {
    for (text, line, wanted) in [
        ("[seal]\nfiel = \"x\"\n", 2, "did you mean `seal.file`?"),
        ("\n\nlisten = \"127.0.0.1:1\"\n", 3, "did you mean `doors.rest.listen`?"),
        ("[doors.reste]\nlisten = \"127.0.0.1:1\"\n", 1, "is no key"),
        ("[keys]\nrotate_evry = \"7d\"", 2, "did you mean `keys.rotate_every`?"),
        ("[server]\ndata_dir.x = 1", 2, "wants a path, not a table"),
    ] {
        let told = problem(text);
        assert!(told.contains(wanted) && told.contains(&format!("line {line}:")), "{text:?} told {told}");
    }
}

#[test]
fn cfg_01_a_key_written_twice_is_refused() {
    for text in ["[seal]\nfile = \"a\"\nfile = \"b\"\n", "[seal]\nfile = \"a\"\n[keys]\n[seal]\n"] {
        let told = problem(text);
        assert!(told.contains("duplicate key") && told.contains("line"), "{told}");
    }
}

#[test]
fn cfg_01_a_number_without_unit_and_a_wrong_kind_are_refused() {
    for (text, wanted) in [
        ("[keys]\nrotate_every = 30", "unit"),
        ("[keys]\nrotate_every = \"30\"", "unit"),
        ("[keys]\nrotate_every = \"1m\"", "between 1h and 365d"),
        ("[server]\nworkers = \"2\"", "wants a whole number, not text"),
        ("[server]\nworkers = 2.5", "wants a whole number, not a fraction"),
        ("[server]\nworkers = -1", "whole number"),
        ("[doors.rest]\nsecrets = 1", "true or false"),
        ("[log]\nlevel = \"loud\"", "\"error\", \"warn\""),
        ("[backup]\nevery = \"1h\"", "without `backup.folder`"),
        ("[server]\ntrusted_proxies = [\"10.0.0.0/33\"]", "item that is wrong"),
        ("[tls]\nkey = \"k.pem\"", "needs its certificate"),
        ("[ledger]\ncluster = \"a b\"", "letters"),
        ("[witness]\nkey = \"w\"", "name its `url`"),
        ("[witness]\nurl = \"ftp://w\"", "address of a witness"),
        ("[witness]\nurl = \"https://w\"", "needs the public key"),
        ("[witness]\nkey = \"w\"\nurl = \"https://w\"", "is not the public key of a witness"),
        ("[access]\nsinks = []", "add \"file\" or \"store\""),
        ("[access]\nsinks = [\"stream:stdout\"]", "add \"file\" or \"store\""),
        ("[access]\nsinks = [\"file\", \"file\"]", "write each once"),
        ("[access]\nsinks = [\"files\"]", "a sink is \"file\", \"store\", \"stream:stdout\""),
        ("[access]\nsinks = [\"file\", \"stream:unix:relative\"]", "\"stream:unix:/path\""),
        ("[access]\nsinks = [\"file\", \"stream:tcp:host\"]", "\"stream:tcp:host:port\""),
        ("[access]\nsinks = \"file\"", "wants a list of texts, not text"),
        ("[access]\nkeep = \"30m\"", "between 1h and none"),
        ("[access]\nkeep = 30", "unit"),
        ("[access]\nkeep = \"ever\"", "or \"none\" to keep for ever"),
        ("[cache]\nbytes = 1000", "\"48MiB\""),
        ("[cache]\nbytes = \"1KiB\"", "between 1MiB and 16GiB"),
    ] {
        let told = problem(text);
        assert!(told.contains(wanted) && told.contains("line 2"), "{text:?} told {told}");
    }
}

#[test]
fn a_message_never_repeats_what_was_given() {
    for text in [
        "[log]\nlevel = \"canary-7\"",
        "[keys]\nrotate_every = \"canary-7\"",
        "[seal]\nfile = canary-7",
        "[seal]\nfile = \"canary-7",
    ] {
        assert!(!problem(text).contains("canary-7"), "{}", problem(text));
    }
}

#[test]
fn flag_beats_environment_beats_file_beats_default() {
    let text = "[server]\nworkers = 3\n[doors.rest]\nlisten = \"127.0.0.1:1\"";
    let variables = &[("AUMBRY_SERVER__WORKERS", "4"), ("AUMBRY_DOORS__REST__SECRETS", "false"), ("AUMBRY_TOKEN", "x")];
    let loaded = with(text, variables).unwrap();
    assert_eq!((loaded.config.server.workers, loaded.config.rest.secrets), (4, false));
    assert_eq!(loaded.config.rest.listen.port(), 1);

    let folder = PathBuf::from("/nowhere");
    let environment = Environment { variables: loaded_variables(variables), folder };
    let flagged = load(None, &environment, |given| given.flag("--workers", "server.workers", "5".to_owned())).unwrap();
    assert_eq!(flagged.config.server.workers, 5);
}

#[test]
fn sinks_are_named_in_file_environment_and_flags_alike() {
    use crate::sinks::{SinkChoice::*, StreamTarget::*};
    let file = with("[access]\nsinks = [\"store\", \"stream:tcp:[::1]:6514\"]", &[]).unwrap().config.access.sinks.0;
    assert_eq!(file, [Store, Stream(Tcp("[::1]:6514".to_owned()))]);
    let variables =
        &[("AUMBRY_ACCESS__SINKS", "file, stream:unix:/run/rows,stream:stdout"), ("AUMBRY_ACCESS__KEEP", "90d")];
    let access = with("[access]\nsinks = [\"store\"]", variables).unwrap().config.access;
    assert_eq!(access.sinks.0, [File, Stream(Unix("/run/rows".into())), Stream(Stdout)]);
    assert_eq!(access.keep, Keep::For(std::time::Duration::from_secs(90 * 86_400)));

    let environment = Environment { variables: loaded_variables(variables), folder: PathBuf::from("/nowhere") };
    let flagged = load(None, &environment, |given| given.pair("access.sinks=store").unwrap()).unwrap();
    assert_eq!(flagged.config.access.sinks.0, [Store]);
    let wrong = load(None, &environment, |given| given.pair("access.sinks=canary-7").unwrap()).unwrap_err();
    let told = wrong[0].to_string();
    assert!(told.starts_with("flag --set access.sinks: `access.sinks`") && !told.contains("canary-7"), "{told}");
    for (pair, wanted) in [("access.sink=file", "did you mean `access.sinks`?"), ("access.sinks", "wants KEY=VALUE")] {
        let told = Given::default().pair(pair).unwrap_err().to_string();
        assert!(told.contains(wanted), "{told}");
    }
}

fn loaded_variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_misspelt_variable_is_refused_and_an_alias_is_reported() {
    let told = with("", &[("AUMBRY_SEAL__FIEL", "x")]).unwrap_err();
    assert!(told[0].to_string().contains("AUMBRY_SEAL__FIEL") && told[0].to_string().contains("seal.file"));

    let loaded = with("", &[("TRSTCTL_SECRETS_KEK_FILE", "/k/seal"), ("STORAGE_CONNECTION", "sqlite")]).unwrap();
    assert_eq!(loaded.config.seal.file.0.as_deref(), Some(Path::new("/k/seal")));
    let origins: Vec<String> = loaded.given.entries().map(|(_, entry)| entry.origin.to_string()).collect();
    assert!(origins.contains(&"environment variable TRSTCTL_SECRETS_KEK_FILE".to_owned()));
}

#[test]
fn the_own_name_of_a_key_beats_its_alias() {
    let loaded = with("", &[("TRSTCTL_SECRETS_KEK_FILE", "/alias"), ("AUMBRY_SEAL__FILE", "/own")]).unwrap();
    assert_eq!(loaded.config.seal.file.0.as_deref(), Some(Path::new("/own")));
}

#[test]
fn a_seal_in_the_data_folder_is_refused() {
    assert!(problem("[server]\ndata_dir = \"/d\"\n[seal]\nfile = \"/d/seal.key\"").contains("lock and key together"));
}

#[test]
fn the_sample_uncommented_is_the_default_configuration() {
    let sample = sample();
    let bare: String = sample
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => rest,
            _ => line,
        })
        .fold(String::new(), |all, line| all + line + "\n");
    let all = with(&bare, &[]).unwrap_or_else(|wrong| panic!("{wrong:?}\n{bare}"));
    assert_eq!(all.config, with(&sample, &[]).unwrap().config);
    assert_eq!(all.given.entries().count(), KEYS.len());
}

#[test]
fn folders_follow_the_service_then_the_user_then_the_system() {
    let at = |pairs: &[(&str, &str)]| {
        Environment { variables: loaded_variables(pairs), folder: PathBuf::new() }.configuration_folder()
    };
    assert_eq!(at(&[]), Path::new("/etc/aumbry"));
    assert_eq!(at(&[("HOME", "/home/a")]), Path::new("/home/a/.config/aumbry"));
    assert_eq!(at(&[("HOME", "/home/a"), ("XDG_CONFIG_HOME", "/x")]), Path::new("/x/aumbry"));
    assert_eq!(at(&[("HOME", "/h"), ("CONFIGURATION_DIRECTORY", "/run/c:/other")]), Path::new("/run/c"));
}
