/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost-user protocol: QEMU docs/interop/vhost-user.rst. No logic here.
 *
 * Both ends are on one machine: all integers are in the machine's own byte order, hence
 * plain types. Numbers of bits 20..22 and of the shared-memory messages are those that
 * QEMU 11.1 uses (measured); some published copies of the document differ.
 */
#ifndef WIRE_VHOST_USER_H
#define WIRE_VHOST_USER_H

#include <stddef.h>
#include <stdint.h>

struct vhost_user_hdr {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* bytes of payload that follow */
};
_Static_assert(sizeof(struct vhost_user_hdr) == 12, "vhost_user_hdr size");

#define VHOST_USER_VERSION	0x1u
#define VHOST_USER_VERSION_MASK 0x3u
#define VHOST_USER_F_REPLY	0x4u
#define VHOST_USER_F_NEED_REPLY 0x8u

/* "Front-end message types" */
#define VHOST_USER_GET_FEATURES		 1u
#define VHOST_USER_SET_FEATURES		 2u
#define VHOST_USER_SET_OWNER		 3u
#define VHOST_USER_RESET_OWNER		 4u
#define VHOST_USER_SET_MEM_TABLE	 5u
#define VHOST_USER_SET_LOG_BASE		 6u
#define VHOST_USER_SET_LOG_FD		 7u
#define VHOST_USER_SET_VRING_NUM	 8u
#define VHOST_USER_SET_VRING_ADDR	 9u
#define VHOST_USER_SET_VRING_BASE	 10u
#define VHOST_USER_GET_VRING_BASE	 11u
#define VHOST_USER_SET_VRING_KICK	 12u
#define VHOST_USER_SET_VRING_CALL	 13u
#define VHOST_USER_SET_VRING_ERR	 14u
#define VHOST_USER_GET_PROTOCOL_FEATURES 15u
#define VHOST_USER_SET_PROTOCOL_FEATURES 16u
#define VHOST_USER_GET_QUEUE_NUM	 17u
#define VHOST_USER_SET_VRING_ENABLE	 18u
#define VHOST_USER_SEND_RARP		 19u
#define VHOST_USER_NET_SET_MTU		 20u
#define VHOST_USER_SET_BACKEND_REQ_FD	 21u
#define VHOST_USER_IOTLB_MSG		 22u
#define VHOST_USER_SET_VRING_ENDIAN	 23u
#define VHOST_USER_GET_CONFIG		 24u
#define VHOST_USER_SET_CONFIG		 25u
#define VHOST_USER_CREATE_CRYPTO_SESSION 26u
#define VHOST_USER_CLOSE_CRYPTO_SESSION	 27u
#define VHOST_USER_POSTCOPY_ADVISE	 28u
#define VHOST_USER_POSTCOPY_LISTEN	 29u
#define VHOST_USER_POSTCOPY_END		 30u
#define VHOST_USER_GET_INFLIGHT_FD	 31u
#define VHOST_USER_SET_INFLIGHT_FD	 32u
#define VHOST_USER_GPU_SET_SOCKET	 33u
#define VHOST_USER_RESET_DEVICE		 34u
#define VHOST_USER_VRING_KICK		 35u
#define VHOST_USER_GET_MAX_MEM_SLOTS	 36u
#define VHOST_USER_ADD_MEM_REG		 37u
#define VHOST_USER_REM_MEM_REG		 38u
#define VHOST_USER_SET_STATUS		 39u
#define VHOST_USER_GET_STATUS		 40u
#define VHOST_USER_GET_SHARED_OBJECT	 41u
#define VHOST_USER_SET_DEVICE_STATE_FD	 42u
#define VHOST_USER_CHECK_DEVICE_STATE	 43u
#define VHOST_USER_GET_SHMEM_CONFIG	 44u

/* "Back-end message types" */
#define VHOST_USER_BACKEND_CONFIG_CHANGE_MSG 2u
#define VHOST_USER_BACKEND_SHMEM_MAP	     9u
#define VHOST_USER_BACKEND_SHMEM_UNMAP	     10u

/* "Protocol features", by bit number */
#define VHOST_USER_PROTOCOL_F_MQ		      0
#define VHOST_USER_PROTOCOL_F_LOG_SHMFD		      1
#define VHOST_USER_PROTOCOL_F_RARP		      2
#define VHOST_USER_PROTOCOL_F_REPLY_ACK		      3
#define VHOST_USER_PROTOCOL_F_MTU		      4
#define VHOST_USER_PROTOCOL_F_BACKEND_REQ	      5
#define VHOST_USER_PROTOCOL_F_CROSS_ENDIAN	      6
#define VHOST_USER_PROTOCOL_F_CRYPTO_SESSION	      7
#define VHOST_USER_PROTOCOL_F_PAGEFAULT		      8
#define VHOST_USER_PROTOCOL_F_CONFIG		      9
#define VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD	      10
#define VHOST_USER_PROTOCOL_F_HOST_NOTIFIER	      11
#define VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD	      12
#define VHOST_USER_PROTOCOL_F_RESET_DEVICE	      13
#define VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS    14
#define VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS     15
#define VHOST_USER_PROTOCOL_F_STATUS		      16
#define VHOST_USER_PROTOCOL_F_XEN_MMAP		      17
#define VHOST_USER_PROTOCOL_F_SHARED_OBJECT	      18
#define VHOST_USER_PROTOCOL_F_DEVICE_STATE	      19
#define VHOST_USER_PROTOCOL_F_GET_VRING_BASE_INFLIGHT 20
#define VHOST_USER_PROTOCOL_F_GPA_ADDRESSES	      21
#define VHOST_USER_PROTOCOL_F_SHMEM		      22

/* Feature bits that vhost-user takes from the device's range; never seen by a guest. */
#define VHOST_USER_F_LOG_ALL	       26
#define VHOST_USER_F_PROTOCOL_FEATURES 30

#define VHOST_USER_MAX_FDS     8u
#define VHOST_USER_MAX_REGIONS 8u   /* of SET_MEM_TABLE */
#define VHOST_USER_CONFIG_MAX  256u /* bytes of device configuration in one message */
#define VHOST_USER_MAX_SHMEM   256u /* shared-memory region ids */

#define VHOST_USER_VRING_F_LOG 1u /* vring_addr.flags: log writes to the used ring, at log */

#define VHOST_USER_VRING_IDX_MASK  0xffu
#define VHOST_USER_VRING_NOFD_MASK 0x100u

struct vhost_user_vring_state {
	uint32_t index;
	uint32_t num;
};
_Static_assert(sizeof(struct vhost_user_vring_state) == 8, "vring_state size");

struct vhost_user_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc; /* user addresses of the front end */
	uint64_t used;
	uint64_t avail;
	uint64_t log; /* guest-physical */
};
_Static_assert(sizeof(struct vhost_user_vring_addr) == 40, "vring_addr size");

struct vhost_user_log {
	uint64_t mmap_size;
	uint64_t mmap_offset;
};
_Static_assert(sizeof(struct vhost_user_log) == 16, "log size");

#define VHOST_USER_STATE_SAVE	 0u
#define VHOST_USER_STATE_LOAD	 1u
#define VHOST_USER_STATE_STOPPED 0u

struct vhost_user_transfer_state {
	uint32_t direction; /* VHOST_USER_STATE_SAVE, _LOAD */
	uint32_t phase;	    /* VHOST_USER_STATE_STOPPED */
};
_Static_assert(sizeof(struct vhost_user_transfer_state) == 8, "transfer_state size");

/* The answer to SET_DEVICE_STATE_FD: an error number, and whether a descriptor comes with it. */
#define VHOST_USER_STATE_FD_ERROR 0xffu
#define VHOST_USER_STATE_FD_NONE  0x100u

struct vhost_user_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t uva;
	uint64_t mmap_offset;
};
_Static_assert(sizeof(struct vhost_user_region) == 32, "region size");

struct vhost_user_mem_table {
	uint32_t nregions;
	uint32_t padding;
	struct vhost_user_region regions[VHOST_USER_MAX_REGIONS];
};
_Static_assert(sizeof(struct vhost_user_mem_table) == 264, "mem_table size");
_Static_assert(offsetof(struct vhost_user_mem_table, regions) == 8, "mem_table.regions");

struct vhost_user_mem_reg {
	uint64_t padding;
	struct vhost_user_region region;
};
_Static_assert(sizeof(struct vhost_user_mem_reg) == 40, "mem_reg size");

struct vhost_user_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	uint8_t payload[VHOST_USER_CONFIG_MAX];
};
_Static_assert(offsetof(struct vhost_user_config, payload) == 12, "config.payload");
#define VHOST_USER_CONFIG_HDR offsetof(struct vhost_user_config, payload)

struct vhost_user_shmem_config {
	uint32_t nregions; /* entries that are not zero */
	uint32_t padding;
	uint64_t sizes[VHOST_USER_MAX_SHMEM]; /* index = shmid; bytes */
};
_Static_assert(sizeof(struct vhost_user_shmem_config) == 0x808, "shmem_config size");

#define VHOST_USER_SHMEM_RW 1u

struct vhost_user_mmap {
	uint8_t shmid;
	uint8_t padding[7];
	uint64_t fd_offset;
	uint64_t shm_offset;
	uint64_t len;
	uint64_t flags; /* VHOST_USER_SHMEM_* */
};
_Static_assert(sizeof(struct vhost_user_mmap) == 40, "mmap size");
_Static_assert(offsetof(struct vhost_user_mmap, fd_offset) == 8, "mmap.fd_offset");

#endif
