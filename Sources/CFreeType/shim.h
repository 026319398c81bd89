// The only door to FreeType.
#pragma once
#include <ft2build.h>
#include FT_FREETYPE_H
#include FT_GLYPH_H
#include FT_STROKER_H

// What macros and bit fields keep from Swift.
static inline int mpifs_ft_has_kerning(FT_Face face) { return FT_HAS_KERNING(face) ? 1 : 0; }
static inline int mpifs_ft_is_scalable(FT_Face face) { return FT_IS_SCALABLE(face) ? 1 : 0; }

// Makes letters so large that from the highest to the lowest part of a line it is `pixels`.
static inline FT_Error mpifs_ft_set_line_height(FT_Face face, unsigned pixels) {
  FT_Size_RequestRec request = {FT_SIZE_REQUEST_TYPE_REAL_DIM, 0, (FT_Long)pixels * 64, 0, 0};
  return FT_Request_Size(face, &request);
}

// Loads a glyph's outline, fitted to the lines of pixels but not to the columns, so that letters keep their widths.
static inline FT_Error mpifs_ft_load(FT_Face face, FT_UInt index) {
  return FT_Load_Glyph(face, index, FT_LOAD_TARGET_LIGHT | FT_LOAD_NO_BITMAP);
}
