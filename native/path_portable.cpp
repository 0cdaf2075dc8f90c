#include "lanes_portable.hpp"
#include "rows.hpp"

namespace holdfast {

const Path& portable_path() {
    static const Path path = Rows<PortableLanes>::path("portable", [] { return true; });
    return path;
}

}  // namespace holdfast
