#include "primitives/resource.h"

namespace converge {

Resource::Resource(const Resource&) = default;
Resource::Resource(Resource&&) noexcept = default;
Resource& Resource::operator=(const Resource&) = default;
Resource& Resource::operator=(Resource&&) noexcept = default;
Resource::~Resource() = default;

}  // namespace converge
