#include "CMediaFile.h"
