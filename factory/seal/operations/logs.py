"""What happened on the build machine: logs, histories, temporary files, dumps, and what the installer left."""

from __future__ import annotations

from factory.seal.model import UNIX, Family, Operation, Strip, Subject

_HOMES = "/{root,home/*,var/root,usr/home/*}"
_FLAG = "/.unconfigured"


async def _flag_reconfiguration(subject: Subject) -> None:
    await subject.files.write(_FLAG, b"")


async def _check_flag(subject: Subject) -> list[str]:
    return [] if await subject.files.exists(_FLAG) else [f"{_FLAG} is missing"]


OPERATIONS = (
    Operation(
        "logs",
        "removes the journal and rotated logs, and empties the others (owner and mode stay, as daemons need them)",
        "they tell about the build, hold addresses, user names and at times passwords",
        families=UNIX,
        remove=(
            "/var/log/journal/*",
            "/var/log/**/*.{gz,bz2,xz,zst,lz4,old,1,2,3,4,5,6,7,8,9}",
            "/var/log/**/*-20[0-9][0-9][0-9][0-9][0-9][0-9]*",
            "/var/log/{anaconda,installer,YaST2}",
            "/var/log/{apt,dnf,unattended-upgrades}/*",
            "/var/log/{anaconda.*,bootstrap.log,dracut.log,cloud-init.log,cloud-init-output.log,postinstall.log}",
            "/var/lib/logrotate/{status,logrotate.status}",
            "/var/lib/logrotate.status",
        ),
        empty=("/var/log/**", "/var/named/data/named.run"),
        keep=("/var/log/README",),
    ),
    Operation(
        "utmp",
        "empties the records of who was logged in",
        "they name the build's sessions and addresses",
        families=UNIX,
        empty=("/var/run/utmp", "/run/utmp", "/var/lib/wtmpdb/*", "/var/lib/lastlog/*"),
    ),
    Operation(
        "pacct-log",
        "empties process accounting",
        "it lists what ran during the build",
        empty=("/var/account/pacct*", "/var/log/account/pacct*"),
    ),
    Operation(
        "shell-history",
        "removes histories of shells and programs",
        "people type secrets",
        families=UNIX,
        remove=(
            f"{_HOMES}/.{{bash,ash,zsh,ksh,sh,csh,mysql,psql,sqlite,rediscli,dbshell,node_repl,python,php}}_history",
            f"{_HOMES}/.{{history,zhistory,histfile,lesshst,viminfo,wget-hsts,mycli-history,irb-history}}",
            f"{_HOMES}/.local/share/{{fish/fish_history,zsh/history}}",
            f"{_HOMES}/.local/state/{{bash,zsh,less}}/history",
        ),
    ),
    Operation(
        "user-caches",
        "removes caches in home folders",
        "they are large, and of the build only",
        families=UNIX,
        remove=(
            f"{_HOMES}/.cache/*",
            f"{_HOMES}/.ansible/tmp",
            f"{_HOMES}/.ansible_async",
            f"{_HOMES}/.sudo_as_admin_successful",
            f"{_HOMES}/.vagrant.d/tmp",
        ),
    ),
    Operation(
        "tmp-files",
        "removes what is in /tmp and /var/tmp",
        "provisioning scripts leave files there",
        families=UNIX,
        remove=("/tmp/*", "/var/tmp/*", "/usr/tmp/*"),
    ),
    Operation(
        "crash-data",
        "removes core dumps and crash reports",
        "a core dump holds a process's memory, secrets included",
        families=UNIX,
        remove=(
            "/var/crash/*",
            "/var/lib/systemd/coredump/*",
            "/var/lib/apport/coredump/*",
            "/var/lib/kdump/*",
            "/var/lib/systemd/pstore/*",
            "/core",
            "/core.[0-9]*",
            "/{root,tmp}/core",
            "/{root,tmp}/core.[0-9]*",
        ),
    ),
    Operation(
        "abrt-data",
        "removes ABRT's crash reports",
        "as crash-data, for Red Hat's collector",
        remove=("/var/spool/abrt/*", "/var/tmp/abrt/*"),
    ),
    Operation(
        "backup-files",
        "removes what editors and package scripts left beside configuration files",
        "an old version of a file may hold what was taken out of the new one",
        families=UNIX,
        remove=(
            "/{etc,root,home,srv,var}/**/*~",
            "/{etc,root,home,srv,var}/**/#*#",
            "/{etc,root,home,srv,var}/**/.*.sw[nop]",
            "/{etc,root,home,srv,var}/**/*.bak",
            "/{etc,root,home,srv}/**/*.orig",
            "/etc/**/*.{dpkg-old,dpkg-bak,dpkg-tmp,ucf-old,rpmorig}",
        ),
    ),
    Operation(
        "passwd-backups",
        "removes the previous versions of the user database",
        "they may hold password hashes that were removed since",
        families=UNIX,
        remove=(
            "/etc/{passwd,shadow,group,gshadow,subuid,subgid}-",
            "/etc/{passwd,shadow,group,gshadow}.{OLD,org,bak}",
            "/etc/security/opasswd.old",
            "/var/backups/*",
        ),
    ),
    Operation(
        "installer-leftovers",
        "removes what installers keep: their answer files, logs, questions and passwords",
        "kickstart, preseed and autoinstall files carry password hashes, at times passwords",
        remove=(
            "/root/{anaconda-ks.cfg,anaconda-post.log,original-ks.cfg,initial-setup-ks.cfg,install.log,install.log.syslog,ks-*.log}",
            "/root/{autoinst.xml,preseed.cfg,ks.cfg,answers,autoinstall.yaml}",
            "/preseed.cfg",
            "/.kickstart",
            "/ks.cfg",
            "/autoinst.xml",
            "/autoinstall.yaml",
            "/var/adm/autoinstall/**",
            "/var/lib/autoinstall/**",
            "/var/lib/debian-installer*",
            "/var/lib/preseed",
            "/var/cache/debconf/*-old",
            "/var/lib/cdebconf/*",
            "/etc/cloud/cloud.cfg.d/{99-installer,subiquity-disable-cloudinit-networking,curtin-preserve-sources}.cfg",
            "/etc/cloud/{ds-identify.cfg,cloud-init.disabled}",
            "/etc/installer-media-info",
            "/var/lib/YaST2/{install.inf,you/*}",
            "/var/log/{preseed,partman,syslog.installer}",
        ),
        empty=("/var/cache/debconf/passwords.dat",),
        strip=(Strip(("/etc/apt/sources.list",), r"^\s*#?\s*deb(-src)?\s+(\[[^\]]*\]\s+)?cdrom:"),),
    ),
    Operation(
        "mail-spool",
        "empties mailboxes and mail queues",
        "cron and packages mail root about the build",
        families=UNIX,
        empty=("/var/spool/mail/*", "/var/mail/*"),
        remove=(
            "/var/spool/exim4/{input,msglog}/*",
            "/var/spool/postfix/{active,bounce,corrupt,defer,deferred,flush,hold,incoming,maildrop,saved,trace}/*",
            "/var/spool/{clientmqueue,mqueue}/*",
        ),
    ),
    Operation(
        "cron-spool",
        "removes queued at jobs",
        "they would run on every clone",
        families=UNIX,
        remove=(
            "/var/spool/at/*",
            "/var/spool/cron/atjobs/*",
            "/var/spool/cron/atspool/*",
            "/var/spool/{atjobs,atspool}/*",
        ),
        keep=("/var/spool/at/spool", "/var/spool/{at,cron/atjobs}/.SEQ"),
    ),
    Operation(
        "user-crontabs",
        "removes users' crontabs",
        "off: what crontab(1) installed while provisioning is meant to stay",
        families=UNIX,
        default=False,
        remove=("/var/spool/cron/crontabs/*", "/var/spool/cron/*"),
        keep=("/var/spool/cron/{crontabs,atjobs,atspool,lastrun}",),
    ),
    Operation(
        "blkid-tab",
        "removes blkid's cache",
        "it names the build's devices",
        remove=(
            "/etc/blkid.tab*",
            "/etc/blkid/blkid.tab*",
            "/{var/run,run}/blkid.tab*",
            "/{var/run,run}/blkid/*",
            "/dev/.blkid.tab*",
        ),
    ),
    Operation(
        "service-state",
        "removes clocks, timers' stamps, drift files and locate databases",
        "they describe the build machine's past, and wake timers at wrong times",
        remove=(
            "/var/lib/systemd/timers/stamp-*",
            "/var/lib/systemd/timesync/clock",
            "/var/lib/private/systemd/timesync/clock",
            "/var/lib/systemd/{rfkill,backlight}/*",
            "/var/lib/chrony/{drift,*.dat}",
            "/var/lib/{ntp,ntpsec}/*drift*",
            "/var/lib/{plocate/plocate.db,mlocate/mlocate.db,mlocate/locatedb,slocate/slocate.db}",
            "/var/cache/locate/locatedb",
            "/etc/lvm/{archive,backup,cache}/*",
            "/etc/lvm/devices/{system.devices,backup/*}",
            "/var/lib/PackageKit/transactions.db",
            "/var/lib/{AccountsService,AccountService}/users/*",
            "/var/lib/fprint/*",
            "/var/cache/gdm/*",
            "/var/lib/fwupd/pending.db",
            "/var/lib/upower/*",
        ),
    ),
    Operation(
        "flag-reconfiguration",
        "has old Red Hat systems ask their first-boot questions",
        "off: a machine without a keyboard would wait for ever",
        families=frozenset({Family.REDHAT}),
        default=False,
        act=_flag_reconfiguration,
        check=_check_flag,
    ),
)
