/* other_abi.c - preloaded: libailive says that it has another binary interface than the header's.
 *
 * Place: in front of libailive in a host of the tests.
 */
#include <ailive/ailive.h>

unsigned ailive_abi(void)
{
    return AILIVE_ABI + 1;
}
