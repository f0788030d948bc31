/* What Wine 8 lacks of Windows, for the tests under it. Rust's standard library loads this DLL, which
   Wine does not have, for random keys. */
#include <winsock2.h>
#include <windows.h>
#include <ws2tcpip.h>
#include <signal.h>

BOOLEAN WINAPI SystemFunction036(PVOID buffer, ULONG len);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T len)
{
    return SystemFunction036(buffer, (ULONG)len);
}

/* quinn-udp asks every socket for IPV6_V6ONLY. Windows answers for IPv4 sockets, too. */
static int WINAPI get(SOCKET s, int level, int name, char *value, int *len)
{
    int result = getsockopt(s, level, name, value, len);
    if (result == 0 || level != IPPROTO_IPV6 || name != IPV6_V6ONLY)
        return result;
    *(DWORD *)value = 1;
    return 0;
}

/* Wine accepts any option of UDP, and does nothing for UDP_SEND_MSG_SIZE, by which Windows sends
   trains. Windows versions without it refuse it. */
static int WINAPI set(SOCKET s, int level, int name, const char *value, int len)
{
    if (level != IPPROTO_UDP)
        return setsockopt(s, level, name, value, len);
    WSASetLastError(WSAENOPROTOOPT);
    return SOCKET_ERROR;
}

/* signal-hook asks for the present handler by SIG_GET, which Wine takes for a handler. */
static void *__cdecl handle(int signal_number, void *handler)
{
    void *before = signal(signal_number, handler == (void *)2 ? SIG_DFL : handler);
    return before == (void *)2 ? SIG_DFL : before;
}

/* Puts these in the place of Wine's among the program's imports. */
BOOL WINAPI DllMain(HINSTANCE self, DWORD reason, LPVOID reserved)
{
    BYTE *program = (BYTE *)GetModuleHandleW(NULL);
    IMAGE_NT_HEADERS *headers = (IMAGE_NT_HEADERS *)(program + ((IMAGE_DOS_HEADER *)program)->e_lfanew);
    IMAGE_DATA_DIRECTORY *table = &headers->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_IAT];
    HMODULE winsock = GetModuleHandleW(L"ws2_32"), library = GetModuleHandleW(L"msvcrt");
    struct { void *wines, *ours; } functions[] = {
        {(void *)GetProcAddress(winsock, "getsockopt"), (void *)get},
        {(void *)GetProcAddress(winsock, "setsockopt"), (void *)set},
        {(void *)GetProcAddress(library, "signal"), (void *)handle},
    };
    void **entry = (void **)(program + table->VirtualAddress), **end = entry + table->Size / sizeof *entry;
    DWORD before;

    if (reason != DLL_PROCESS_ATTACH)
        return TRUE;
    VirtualProtect(entry, table->Size, PAGE_READWRITE, &before);
    for (; entry < end; entry++)
        for (int i = 0; i < 3; i++)
            if (*entry == functions[i].wines)
                *entry = functions[i].ours;
    return TRUE;
}
