// `card.hpp` has it.
