// Constants and calls of the Linux uAPI that Swift cannot import: ioctl numbers (sizeof in a macro), fourccs, memfd.
#pragma once
