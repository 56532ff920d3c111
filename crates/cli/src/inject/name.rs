//! Names of environment variables: made from paths, checked before a program gets them.

use client::Error;

use crate::fault;

/// Makes the name a path gets: `db/password` becomes `DB_PASSWORD`.
///
/// Errors: `Invalid` when nothing of the path can stand in a name.
pub(crate) fn from_path(path: &str) -> Result<String, Error> {
    let fits = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let mut name: String = path.chars().map(fits).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    if name.chars().all(|c| c == '_') {
        return Err(fault::invalid(format!("`{path}` gives no name"), "choose one with --env NAME=path"));
    }
    Ok(name)
}

/// Checks that a name is one: letters, digits and underscores, no digit first.
///
/// Errors: `Invalid`; no flag lets it through.
pub(crate) fn check(name: &str) -> Result<(), Error> {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if first && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && name.len() <= 255 {
        return Ok(());
    }
    let hint = "use letters, digits and underscores, with no digit first";
    Err(fault::invalid(format!("`{name}` is no name of an environment variable"), hint))
}

/// Whether a variable of this name changes what the program or the shell runs, loads or trusts.
pub(crate) fn dangerous(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    WHOLE.contains(&upper.as_str()) || BEGINNINGS.iter().any(|beginning| upper.starts_with(beginning))
}

const BEGINNINGS: &[&str] = &[
    "LD_",
    "DYLD_",
    "BASH_FUNC_",
    "GIT_",
    "PYTHON",
    "PERL",
    "RUBY",
    "NODE_",
    "NPM_CONFIG_",
    "LUA_",
    "CARGO_",
    "RUSTC",
    "AUMBRY_",
    "MALLOC_",
    "GCONV_",
    "JAVA_TOOL_",
    "GLIBC_",
    "SSL_CERT_",
    "SUDO_",
    "XDG_",
    "DOTNET_",
    "CORECLR_",
    "COR_",
    "SYSTEMD_",
];

const WHOLE: &[&str] = &[
    "PATH",
    "ENV",
    "BASH_ENV",
    "BASHOPTS",
    "SHELLOPTS",
    "SHELL",
    "IFS",
    "CDPATH",
    "PS0",
    "PS1",
    "PS2",
    "PS4",
    "PROMPT_COMMAND",
    "ZDOTDIR",
    "FPATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "TZDIR",
    "LOCPATH",
    "NLSPATH",
    "HOSTALIASES",
    "LOCALDOMAIN",
    "RES_OPTIONS",
    "RESOLV_HOST_CONF",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "BROWSER",
    "LESSOPEN",
    "LESSCLOSE",
    "MANPAGER",
    "SSH_ASKPASS",
    "SSH_AUTH_SOCK",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "CLASSPATH",
    "_JAVA_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "MAVEN_OPTS",
    "GRADLE_OPTS",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "R_PROFILE",
    "ERL_FLAGS",
    "GOFLAGS",
    "OPENSSL_CONF",
    "OPENSSL_MODULES",
    "CURL_HOME",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "WGETRC",
    "INPUTRC",
    "TERM",
    "TERMINFO",
    "TERMCAP",
    "MAKEFLAGS",
    "CC",
    "CXX",
    "GNUPGHOME",
    "DOCKER_HOST",
    "KUBECONFIG",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cli_07_a_path_gives_its_name() {
        for (path, name) in [
            ("db/password", "DB_PASSWORD"),
            ("Team1/api-key.v2", "TEAM1_API_KEY_V2"),
            ("2fa/seed", "_2FA_SEED"),
            ("a/é", "A__"),
        ] {
            assert_eq!(from_path(path).unwrap(), name, "{path}");
        }
        assert!(from_path("é/€").is_err());
    }

    #[test]
    fn cli_07_names_that_steer_programs_are_dangerous() {
        for name in [
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "PATH",
            "Path",
            "BASH_FUNC_ls%%",
            "BASH_ENV",
            "ENV",
            "IFS",
            "NODE_OPTIONS",
            "PYTHONPATH",
            "GIT_SSH_COMMAND",
            "DYLD_INSERT_LIBRARIES",
            "http_proxy",
            "AUMBRY_TOKEN",
            "AUMBRY_ADDR",
            "HOME",
            "SSL_CERT_FILE",
            "JAVA_TOOL_OPTIONS",
            "GLIBC_TUNABLES",
        ] {
            assert!(dangerous(name), "{name}");
        }
        for name in
            ["DB_PASSWORD", "DATABASE_URL", "API_KEY", "PATHS", "MY_LD_PRELOAD", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD"]
        {
            assert!(!dangerous(name), "{name}");
        }
    }

    #[test]
    fn cli_07_what_is_no_name_is_refused() {
        for bad in ["", "1A", "A-B", "A B", "A=B", "BASH_FUNC_x%%", "é", "A\0", "A\n"] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
        for good in ["A", "_", "db_password", "A1"] {
            assert!(check(good).is_ok(), "{good}");
        }
    }
}
