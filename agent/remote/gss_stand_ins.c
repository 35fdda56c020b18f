// libssh imports GSSAPI (Kerberos) logins, and no Debian package has krb5 as an archive, so a static binary cannot have
// them. Logins here are by key alone; each function answers "unavailable", and what it was to fill stays as the caller
// made it. gssapi.h(3) has the prototypes; the linker goes by the names, and no argument is read.
enum { gss_unavailable = 16 << 16 };  // GSS_S_UNAVAILABLE, RFC 2744 section 3.9.1

const void* GSS_C_NT_HOSTBASED_SERVICE = 0;
const void* GSS_C_NT_USER_NAME = 0;

#define UNAVAILABLE(name) \
  unsigned name(void);    \
  unsigned name(void) { return gss_unavailable; }
UNAVAILABLE(gss_accept_sec_context)
UNAVAILABLE(gss_acquire_cred)
UNAVAILABLE(gss_add_oid_set_member)
UNAVAILABLE(gss_create_empty_oid_set)
UNAVAILABLE(gss_display_name)
UNAVAILABLE(gss_display_status)
UNAVAILABLE(gss_get_mic)
UNAVAILABLE(gss_import_name)
UNAVAILABLE(gss_indicate_mechs)
UNAVAILABLE(gss_init_sec_context)
UNAVAILABLE(gss_inquire_cred)
UNAVAILABLE(gss_inquire_cred_by_mech)
UNAVAILABLE(gss_release_buffer)
UNAVAILABLE(gss_release_cred)
UNAVAILABLE(gss_release_name)
UNAVAILABLE(gss_release_oid_set)
UNAVAILABLE(gss_test_oid_set_member)
UNAVAILABLE(gss_verify_mic)
