//! The layouts of macOS kernel structures, decoded by code that runs, and is tested, anywhere.

/// `audit_token_t`: who did it, and in which run of which program (xnu kern_prot.c proc_calc_audit_token).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AuditToken([u32; 8]);

impl AuditToken {
    pub(super) const BYTES: usize = 32;

    pub(super) fn decode(bytes: &[u8; Self::BYTES]) -> Self {
        let (words, _) = bytes.as_chunks::<4>();
        let mut token = [0; 8];
        for (word, bytes) in token.iter_mut().zip(words) {
            *word = u32::from_ne_bytes(*bytes);
        }
        Self(token)
    }

    pub(super) fn effective_uid(self) -> u32 {
        self.0[1]
    }

    pub(super) fn pid(self) -> u32 {
        self.0[5]
    }

    pub(super) fn session(self) -> u32 {
        self.0[6]
    }

    /// New at every fork and every exec: pid and pidversion together name one run of one program.
    pub(super) fn pid_version(self) -> u32 {
        self.0[7]
    }
}

/// `struct xucred`: u32 version, u32 uid, i16 count, two bytes of padding, 16 groups (bsd/sys/ucred.h).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
}

impl Credentials {
    pub(super) const BYTES: usize = 76;
    /// NGROUPS: there is no room for more, and nothing tells whether there are more.
    const MOST_GROUPS: usize = 16;

    pub(super) fn all_groups(&self) -> bool {
        self.groups.len() < Self::MOST_GROUPS
    }

    /// `None` for another version, or without the first group, which is the effective gid.
    pub(super) fn decode(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let (words, _) = bytes.as_chunks::<4>();
        let word = |index: usize| words.get(index).copied().map(u32::from_ne_bytes);
        if word(0)? != 0 {
            return None; // XUCRED_VERSION
        }
        let [low, high, ..] = *words.get(2)?;
        let count = usize::try_from(i16::from_ne_bytes([low, high])).ok()?;
        let groups: Vec<u32> = (0..count)
            .map(|index| word(3 + index))
            .collect::<Option<_>>()?;
        Some(Self {
            uid: word(1)?,
            gid: *groups.first()?,
            groups,
        })
    }
}

/// What files of this process are closed to while a socket is bound: everybody else. Not to their owner: the umask belongs to the
/// process, and what another thread makes meanwhile may be a directory, to be entered.
pub(super) const BIND_UMASK: u16 = 0o077;

/// A `sockaddr_un` as long as the kernel takes it: SOCK_MAXADDRLEN is 255, two bytes are the header (xnu uipc_usrreq.c unp_bind).
#[repr(C)]
pub(super) struct OversizedAddress {
    len: u8,
    family: u8,
    path: [u8; 253],
}

const _: () = assert!(size_of::<OversizedAddress>() == 255);

impl OversizedAddress {
    /// The address and the length to tell the kernel, with a closing zero byte where there is room; `None` past 253 bytes.
    pub(super) fn new(family: u8, path: &[u8]) -> Option<(Self, u8)> {
        let mut address = Self {
            len: 0,
            family,
            path: [0; 253],
        };
        address.path.get_mut(..path.len())?.copy_from_slice(path);
        let len = u8::try_from(2 + path.len() + 1).unwrap_or(u8::MAX);
        address.len = len;
        Some((address, len))
    }
}

/// The descriptors in Darwin control data: a 12-byte header (u32 length, i32 level, i32 type), then the data, all aligned to 4.
///
/// With MSG_CTRUNC a header tells more than there is (rustix#1683): what lies past the end is not read.
pub(super) fn descriptors(mut control: &[u8]) -> Vec<i32> {
    const HEADER: usize = 12;
    let mut found = Vec::new();
    while let Some((header, _)) = control.split_first_chunk::<HEADER>() {
        let (words, _) = header.as_chunks::<4>();
        let &[len, level, kind] = words else { break };
        let len = usize::try_from(u32::from_ne_bytes(len))
            .unwrap_or(usize::MAX)
            .min(control.len());
        let rights = i32::from_ne_bytes(level) == 0xffff && i32::from_ne_bytes(kind) == 1; // SOL_SOCKET, SCM_RIGHTS
        let (data, _) = control
            .get(HEADER..len)
            .unwrap_or_default()
            .as_chunks::<4>();
        if rights {
            found.extend(data.iter().copied().map(i32::from_ne_bytes));
        }
        control = control
            .get(len.max(HEADER).next_multiple_of(4)..)
            .unwrap_or_default();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(words: &[u32]) -> [u8; N] {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        bytes.try_into().unwrap()
    }

    #[test]
    fn an_audit_token_names_user_process_session_and_run() {
        let token = AuditToken::decode(&bytes(&[10, 11, 12, 13, 14, 15, 16, 17]));
        assert_eq!((token.effective_uid(), token.pid()), (11, 15));
        assert_eq!((token.session(), token.pid_version()), (16, 17));
    }

    fn xucred(version: u32, count: i16) -> [u8; 76] {
        let mut words = [0; 19];
        (words[0], words[1]) = (version, 501);
        let [low, high] = count.to_ne_bytes();
        words[2] = u32::from_ne_bytes([low, high, 0, 0]);
        (words[3], words[4], words[5]) = (20, 80, 81);
        bytes(&words)
    }

    #[test]
    fn credentials_hold_only_the_groups_that_are_counted() {
        let credentials = Credentials::decode(&xucred(0, 2)).unwrap();
        assert_eq!(
            credentials,
            Credentials {
                uid: 501,
                gid: 20,
                groups: vec![20, 80]
            }
        );
    }

    #[test]
    fn credentials_without_room_for_a_group_more_may_lack_some() {
        for (count, all) in [(1, true), (15, true), (16, false)] {
            let credentials = Credentials::decode(&xucred(0, count)).unwrap();
            assert_eq!(credentials.groups.len(), usize::try_from(count).unwrap());
            assert_eq!(credentials.all_groups(), all, "{count}");
        }
    }

    #[test]
    fn credentials_that_make_no_sense_are_refused() {
        for (version, count) in [(1, 2), (0, 0), (0, -1), (0, 17), (0, i16::MAX)] {
            assert_eq!(
                Credentials::decode(&xucred(version, count)),
                None,
                "{version} {count}"
            );
        }
    }

    #[test]
    fn while_a_socket_is_bound_what_is_made_is_its_owners_alone_and_whole() {
        assert_eq!(0o777 & !BIND_UMASK, 0o700);
    }

    #[test]
    fn an_address_takes_253_bytes_and_no_more() {
        let (address, len) = OversizedAddress::new(1, b"/run/x").unwrap();
        assert_eq!((len, address.len, address.family), (9, 9, 1));
        assert_eq!(&address.path[..7], b"/run/x\0");
        let (address, len) = OversizedAddress::new(1, &[b'x'; 253]).unwrap();
        assert_eq!((len, address.path[252]), (255, b'x'));
        assert!(OversizedAddress::new(1, &[b'x'; 254]).is_none());
    }

    #[test]
    fn every_descriptor_in_control_data_is_found() {
        let two = [20, 0xffff, 1, 7, 8];
        assert_eq!(descriptors(&bytes::<20>(&two)), [7, 8]);
        let both = [16, 0xffff, 1, 7, 16, 0xffff, 2, 9, 16, 0xffff, 1, 8];
        assert_eq!(
            descriptors(&bytes::<48>(&both)),
            [7, 8],
            "another type in between"
        );
    }

    #[test]
    fn control_data_that_lies_about_its_length_is_read_to_its_end_only() {
        assert_eq!(descriptors(&bytes::<20>(&[4000, 0xffff, 1, 7, 8])), [7, 8]);
        assert_eq!(descriptors(&bytes::<20>(&[0, 0xffff, 1, 7, 8])), []);
        assert_eq!(descriptors(&[1, 2, 3]), []);
    }
}
