// SPDX-License-Identifier: Apache-2.0

/// The pages a tree serves.
public struct PageTable: Sendable {
  /// Generation of the vendor's texts, chosen once for a mount.
  public var dialect: Dialect
  public var pages: [Page]
  public var objectPages: [ObjectPage]
  /// Those of each service.
  public var servicePages: [ServicePage]
  /// Where the services have their directories.
  public var serviceFolder = "mpp_service"

  /// All pages that are built in. A family is a folder with one list and has one line here.
  public init(_ dialect: Dialect) {
    self.dialect = dialect
    pages =
      RockitPages.pages(dialect)
      + DMABufPages.pages
      + DMAHeapPages.pages
      + MPPServicePages.pages(dialect)
      + OwnPages.pages
    objectPages = OwnPages.objectPages
    servicePages = MPPServicePages.servicePages
  }
}
