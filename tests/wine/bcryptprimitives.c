/* What Wine 8 lacks of Windows, for the tests under it. Rust's standard library loads this DLL, which
   Wine does not have, for random keys. */
#include <winsock2.h>
#include <windows.h>
#include <ws2tcpip.h>

BOOLEAN WINAPI SystemFunction036(PVOID buffer, ULONG len);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T len)
{
    return SystemFunction036(buffer, (ULONG)len);
}

/* quinn-udp asks every socket for IPV6_V6ONLY. Windows answers for IPv4 sockets, too. */
static int WINAPI answer(SOCKET s, int level, int name, char *value, int *len)
{
    int result = getsockopt(s, level, name, value, len);
    if (result == 0 || level != IPPROTO_IPV6 || name != IPV6_V6ONLY)
        return result;
    *(DWORD *)value = 1;
    return 0;
}

/* Puts it in the place of getsockopt among the program's imports. */
BOOL WINAPI DllMain(HINSTANCE self, DWORD reason, LPVOID reserved)
{
    BYTE *program = (BYTE *)GetModuleHandleW(NULL);
    IMAGE_NT_HEADERS *headers = (IMAGE_NT_HEADERS *)(program + ((IMAGE_DOS_HEADER *)program)->e_lfanew);
    IMAGE_DATA_DIRECTORY *table = &headers->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_IAT];
    void *replaced = (void *)GetProcAddress(GetModuleHandleW(L"ws2_32"), "getsockopt");
    void **entry = (void **)(program + table->VirtualAddress), **end = entry + table->Size / sizeof *entry;
    DWORD before;

    if (reason != DLL_PROCESS_ATTACH)
        return TRUE;
    VirtualProtect(entry, table->Size, PAGE_READWRITE, &before);
    for (; entry < end; entry++)
        if (*entry == replaced)
            *entry = (void *)answer;
    return TRUE;
}
