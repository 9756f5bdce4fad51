/*
 * A reader that can be pulled out: the driver of virtual readers (REAL), which does not
 * reach its reader as long as the file PULLED is there. A command that was under way
 * then has reached the card, and its answer is lost.
 */
#include <dlfcn.h>
#include <unistd.h>

#include <ifdhandler.h>

static void *real(const char *name)
{
	static void *library;

	if (!library)
		library = dlopen(REAL, RTLD_NOW | RTLD_LOCAL);
	return library ? dlsym(library, name) : 0;
}

static int pulled(void)
{
	return access(PULLED, F_OK) == 0;
}

#define PASS(name, parameters, arguments) \
	RESPONSECODE name parameters \
	{ \
		RESPONSECODE (*call) parameters = real(#name); \
		RESPONSECODE result; \
		if (!call) \
			return IFD_NOT_SUPPORTED; \
		if (pulled()) \
			return IFD_COMMUNICATION_ERROR; \
		result = call arguments; \
		return pulled() ? IFD_COMMUNICATION_ERROR : result; \
	}

PASS(IFDHCreateChannel, (DWORD lun, DWORD channel), (lun, channel))
PASS(IFDHCreateChannelByName, (DWORD lun, LPSTR device), (lun, device))
PASS(IFDHSetCapabilities, (DWORD lun, DWORD tag, DWORD length, PUCHAR value), (lun, tag, length, value))
PASS(IFDHSetProtocolParameters, (DWORD lun, DWORD protocol, UCHAR flags, UCHAR p1, UCHAR p2, UCHAR p3),
	(lun, protocol, flags, p1, p2, p3))
PASS(IFDHPowerICC, (DWORD lun, DWORD action, PUCHAR atr, PDWORD length), (lun, action, atr, length))
PASS(IFDHTransmitToICC, (DWORD lun, SCARD_IO_HEADER send, PUCHAR command, DWORD sent, PUCHAR answer, PDWORD length,
	PSCARD_IO_HEADER receive), (lun, send, command, sent, answer, length, receive))
PASS(IFDHControl, (DWORD lun, DWORD code, PUCHAR in, DWORD sent, PUCHAR out, DWORD size, LPDWORD length),
	(lun, code, in, sent, out, size, length))

/* pcscd asks every 400 ms. A reader that is pulled out gives its card no power. */
RESPONSECODE IFDHICCPresence(DWORD lun)
{
	RESPONSECODE (*call)(DWORD) = real("IFDHICCPresence");
	RESPONSECODE (*power)(DWORD, DWORD, PUCHAR, PDWORD) = real("IFDHPowerICC");
	UCHAR atr[MAX_ATR_SIZE];
	DWORD length = sizeof atr;
	static int dark;

	if (!call || !power)
		return IFD_NOT_SUPPORTED;
	if (!pulled()) {
		dark = 0;
		return call(lun);
	}
	if (!dark)
		(void)power(lun, IFD_POWER_DOWN, atr, &length);
	dark = 1;
	return IFD_COMMUNICATION_ERROR;
}

RESPONSECODE IFDHCloseChannel(DWORD lun) /* also of a reader that is gone */
{
	RESPONSECODE (*call)(DWORD) = real("IFDHCloseChannel");

	return call ? call(lun) : IFD_NOT_SUPPORTED;
}

RESPONSECODE IFDHGetCapabilities(DWORD lun, DWORD tag, PDWORD length, PUCHAR value)
{
	RESPONSECODE (*call)(DWORD, DWORD, PDWORD, PUCHAR) = real("IFDHGetCapabilities");

	if (tag == TAG_IFD_SLOTS_NUMBER && *length >= 1) {
		*length = 1;
		*value = 1;
		return IFD_SUCCESS;
	}
	return call ? call(lun, tag, length, value) : IFD_NOT_SUPPORTED;
}
