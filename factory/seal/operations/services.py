"""State of services that register, enrol or identify a machine."""

from __future__ import annotations

from factory.seal.model import UNIX, Family, Operation

_REDHAT = frozenset({Family.REDHAT})

OPERATIONS = (
    Operation(
        "cloud-init",
        "removes what cloud-init remembers of this instance",
        "it would take each clone for the same instance and not configure it",
        families=UNIX,
        remove=(
            "/var/lib/cloud/{instance,instances,data,sem,handlers}",
            "/var/lib/cloud/{scripts/per-instance/*,boot-finished}",
            "/var/db/cloud/{instance,instances,data,sem}",
            "/run/cloud-init/**",
            "/etc/systemd/network/10-cloud-init-*.network",
            "/var/log/cloud-init*",
        ),
    ),
    Operation(
        "rh-subscription-manager",
        "removes Red Hat subscription: consumer certificate, entitlements, facts",
        "clones would share one registration",
        families=_REDHAT,
        remove=(
            "/etc/pki/{consumer,entitlement}/*",
            "/var/lib/rhsm/{facts/*,cache/*,packages/*,branded_name}",
            "/etc/insights-client/{machine-id,.registered,.unregistered,.lastupload,.last-upload.results}",
            "/etc/rhsm/rhsm.conf.kat-backup",
        ),
    ),
    Operation(
        "rhn-systemid",
        "removes the id for RHN and Spacewalk",
        "clones would share one registration",
        families=frozenset({Family.REDHAT, Family.SUSE}),
        remove=("/etc/sysconfig/rhn/systemid", "/etc/sysconfig/rhn/osad-auth.conf"),
    ),
    Operation(
        "suse-registration",
        "removes SUSE's registration and its credentials",
        "clones would share one registration",
        families=frozenset({Family.SUSE}),
        remove=("/etc/SUSEConnect", "/etc/zypp/credentials.d/SCCcredentials", "/etc/zypp/credentials.d/NCCcredentials"),
    ),
    Operation(
        "ubuntu-pro",
        "removes Ubuntu Pro's machine token and Landscape's registration",
        "clones would share one registration",
        families=frozenset({Family.DEBIAN}),
        remove=(
            "/var/lib/ubuntu-advantage/private/*",
            "/var/lib/landscape/client/*",
            "/var/lib/ubuntu-advantage/machine-*",
        ),
    ),
    Operation(
        "configuration-agents",
        "removes identities of Puppet, Chef, Salt, Consul, Nomad and their logs",
        "a master knows its agents by certificate: clones would be one agent",
        families=UNIX,
        remove=(
            "/var/lib/puppet/ssl/*",
            "/etc/puppetlabs/puppet/ssl/*",
            "/var/lib/puppet/*/*",
            "/opt/puppetlabs/puppet/cache/{state,reports,clientbucket}/*",
            "/etc/chef/{client.pem,client.d/*.pem}",
            "/var/chef/{cache,backup}/*",
            "/etc/salt/pki/minion/*",
            "/etc/salt/minion_id",
            "/var/cache/salt/minion/*",
            "/var/lib/{consul,nomad}/{node-id,client/client-id,serf,raft}",
        ),
    ),
    Operation(
        "kerberos-hostkeytab",
        "removes the host's Kerberos keys",
        "they prove that a machine is this machine",
        families=UNIX,
        remove=("/etc/krb5.keytab", "/var/lib/sss/keytabs/*", "/var/lib/gssproxy/clients/*"),
    ),
    Operation(
        "kerberos-data",
        "removes the data of a Kerberos server",
        "off: only right where the image is no Kerberos server",
        default=False,
        remove=("/var/kerberos/krb5kdc/*", "/var/lib/krb5kdc/*"),
        keep=("/var/kerberos/krb5kdc/{kadm5.acl,kdc.conf}",),
    ),
    Operation(
        "ipa-client",
        "removes FreeIPA's client enrolment",
        "each machine enrols by itself",
        remove=(
            "/var/lib/ipa-client/sysrestore/*",
            "/var/lib/ipa-client/pki/*",
            "/etc/ipa/{ca.crt,default.conf}",
            "/etc/pki/ca-trust/source/{ipa.p11-kit,anchors/ipa-ca.crt}",
        ),
    ),
    Operation(
        "sssd-db-log",
        "removes SSSD's caches and logs",
        "they cache users and password hashes",
        remove=(
            "/var/lib/sss/{db,mc}/*",
            "/var/lib/sss/pubconf/{krb5.include.d/*,kdcinfo.*,known_hosts}",
            "/var/log/sssd/*",
        ),
    ),
    Operation(
        "samba-db-log",
        "removes Samba's databases, machine account and logs",
        "the machine's domain secret is in secrets.tdb",
        remove=(
            "/var/lib/samba/**/*.{tdb,ldb,dat,pem}",
            "/var/cache/samba/*.tdb",
            "/var/log/samba/*",
        ),
    ),
    Operation(
        "pam-data",
        "removes PAM's records: console locks, failed logins",
        "they are of the build's sessions",
        remove=("/var/run/{console,faillock,sepermit}/*", "/var/lib/faillock/*", "/run/faillock/*"),
    ),
    Operation(
        "dovecot-data",
        "removes Dovecot's generated parameters",
        "they are made at first start",
        remove=("/var/lib/dovecot/*",),
    ),
    Operation(
        "lvm-system-devices",
        "removes LVM's list of devices",
        "it names disks by serial, and hides a clone's own",
        remove=("/etc/lvm/devices/system.devices",),
    ),
    Operation(
        "container-state",
        "removes containers' runtime state: Docker's swarm and builder, CNI leases, Kubernetes node keys",
        "a node joins a cluster under its own keys",
        remove=(
            "/var/lib/docker/{swarm,buildkit,network/files,tmp}",
            "/var/lib/cni/networks/*",
            "/var/lib/kubelet/pki/*",
            "/etc/kubernetes/{kubelet.conf,bootstrap-kubelet.conf}",
            "/var/lib/rancher/{k3s,rke2}/agent/*.key",
        ),
    ),
)
