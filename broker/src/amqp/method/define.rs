//! How a class of methods is written down: one macro makes the structs, their codec and the enum of the class from a
//! list of fields in the order of the wire. Knows no method.

use crate::amqp::wire::{Reader, WireError};

/// The fields of one method.
pub(crate) trait Fields<'a>: Sized {
    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError>;
    fn write(&self, out: &mut Vec<u8>);
}

/// The methods of one class.
pub(crate) trait Class<'a>: Sized {
    /// `None` where the class has no such method.
    fn read(id: u16, reader: &mut Reader<'a>) -> Result<Option<Self>, WireError>;
    fn write(&self, out: &mut Vec<u8>);
}

/// Defines a class. A method's fields stand in the order of the wire: what is skipped, fields, bits of one octet, more
/// fields, what is skipped at the end. Skipped ones are reserved by the specification; they are read past and written
/// as zero or empty.
macro_rules! class {
    (
        $l:lifetime;
        $(#[$class_doc:meta])*
        $class:ident $(<$class_lt:lifetime>)? = $class_id:literal;
        $(
            $(#[$doc:meta])*
            $name:ident $(<$lt:lifetime>)? = $id:literal, $method_name:literal {
                $( skip $before:ty; )?
                $( fields { $( $(#[$head_doc:meta])* $head:ident: $head_type:ty, )+ } )?
                $( bits { $( $(#[$bit_doc:meta])* $bit:ident, )+ } )?
                $( then { $( $(#[$tail_doc:meta])* $tail:ident: $tail_type:ty, )+ } )?
                $( end $( $after:ty ),+; )?
            }
        )+
    ) => {
        /// The id of this class.
        pub const CLASS: u16 = $class_id;

        $(#[$class_doc])*
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub enum $class $(<$class_lt>)? {
            $( $(#[$doc])* $name($name $(<$lt>)?), )+
        }

        impl<$l> $crate::amqp::method::define::Class<$l> for $class $(<$class_lt>)? {
            #[inline]
            fn read(
                id: u16,
                reader: &mut $crate::amqp::wire::Reader<$l>,
            ) -> Result<Option<Self>, $crate::amqp::wire::WireError> {
                use $crate::amqp::method::define::Fields;
                Ok(Some(match id {
                    $( $id => Self::$name($name::read(reader)?), )+
                    _ => return Ok(None),
                }))
            }

            #[inline]
            fn write(&self, out: &mut Vec<u8>) {
                use $crate::amqp::method::define::Fields;
                match self {
                    $( Self::$name(method) => method.write(out), )+
                }
            }
        }

        impl $(<$class_lt>)? $class $(<$class_lt>)? {
            /// The method's id within its class.
            pub fn id(&self) -> u16 {
                match self {
                    $( Self::$name(_) => $id, )+
                }
            }

            /// The name as error texts have it.
            pub fn name(&self) -> &'static str {
                match self {
                    $( Self::$name(_) => $method_name, )+
                }
            }
        }

        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Default)]
            pub struct $name $(<$lt>)? {
                $($( $(#[$head_doc])* pub $head: $head_type, )+)?
                $($( $(#[$bit_doc])* pub $bit: bool, )+)?
                $($( $(#[$tail_doc])* pub $tail: $tail_type, )+)?
            }

            impl $(<$lt>)? $name $(<$lt>)? {
                /// Class id and method id.
                pub const IDS: (u16, u16) = (CLASS, $id);
                /// The name as error texts have it.
                pub const NAME: &'static str = $method_name;

                /// Writes the whole frame.
                #[inline]
                pub fn encode(&self, channel: u16, out: &mut Vec<u8>) {
                    use $crate::amqp::method::define::Fields;
                    $crate::amqp::method::write_method_frame(channel, Self::IDS, out, |out| self.write(out));
                }
            }

            impl<$l> $crate::amqp::method::define::Fields<$l> for $name $(<$lt>)? {
                #[inline]
                fn read(
                    reader: &mut $crate::amqp::wire::Reader<$l>,
                ) -> Result<Self, $crate::amqp::wire::WireError> {
                    #[allow(unused_imports, reason = "a method may have no field")]
                    use $crate::amqp::wire::{Bits, Field};
                    $( <$before>::read(reader)?; )?
                    $($( let $head = Field::read(reader)?; )+)?
                    $( let mut bits = Bits::read(reader)?; $( let $bit = bits.take(); )+ )?
                    $($( let $tail = Field::read(reader)?; )+)?
                    $($( <$after>::read(reader)?; )+)?
                    let _ = reader;
                    Ok(Self { $($($head,)+)? $($($bit,)+)? $($($tail,)+)? })
                }

                #[inline]
                fn write(&self, out: &mut Vec<u8>) {
                    #[allow(unused_imports, reason = "a method may have no field")]
                    use $crate::amqp::wire::{Bits, Field};
                    $( <$before>::default().write(out); )?
                    $($( self.$head.write(out); )+)?
                    $( out.push(Bits::default() $(.put(self.$bit))+ .octet()); )?
                    $($( self.$tail.write(out); )+)?
                    $($( <$after>::default().write(out); )+)?
                    let _ = out;
                }
            }
        )+
    };
}

pub(crate) use class;
