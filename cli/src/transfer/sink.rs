//! Batches into a file of one of the formats.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use kalam_link::core::cell::{append_cell, append_text};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tempfile::NamedTempFile;

use super::cells::{self, Column};
use super::csv::append_field;
use super::error::Error;
use super::files::{CsvOptions, Format, Place};

const WRITE_BUFFER_BYTES: usize = 256 << 10;

/// What the bytes go to.
pub struct Target {
    name: String,
    out: Out,
}

enum Out {
    Standard(io::Stdout),
    /// A pipe or a device: written as it is.
    Special(File),
    /// Takes its name when it is whole.
    File(NamedTempFile, PathBuf),
}

impl Target {
    pub fn open(place: &Place) -> Result<Self, Error> {
        let name = place.to_string();
        let out = match place {
            Place::Standard => Ok(Out::Standard(io::stdout())),
            Place::File(path) => Out::open(path),
        };
        match out {
            Ok(out) => Ok(Self { name, out }),
            Err(source) => Err(Error::Write { name, source }),
        }
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Write {
            name: self.name.clone(),
            source,
        }
    }

    fn close(self) -> Result<(), Error> {
        let Self { name, out } = self;
        let closed = match out {
            Out::Standard(mut out) => out.flush(),
            Out::Special(mut file) => file.flush(),
            Out::File(file, path) => persist(file, &path),
        };
        closed.map_err(|source| Error::Write { name, source })
    }
}

impl Out {
    fn open(path: &Path) -> io::Result<Self> {
        if let Ok(metadata) = std::fs::metadata(path)
            && !metadata.is_file()
        {
            return Ok(Self::Special(File::options().write(true).open(path)?));
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // An error that names the folder, and not a file that nobody asked for.
        std::fs::metadata(folder)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(".kalam-export-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // As any new file: the process's mask takes away what others shall not have.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        Ok(Self::File(builder.tempfile_in(folder)?, path.to_owned()))
    }
}

fn persist(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_data()?;
    file.persist(path)?;
    Ok(())
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.out {
            Out::Standard(out) => out.write(bytes),
            Out::Special(file) => file.write(bytes),
            Out::File(file, _) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.out {
            Out::Standard(out) => out.flush(),
            Out::Special(file) => file.flush(),
            Out::File(file, _) => file.flush(),
        }
    }
}

/// Writes batches in one format.
pub enum Sink {
    Text(Text),
    Parquet {
        name: String,
        writer: Box<ArrowWriter<Target>>,
    },
}

impl Sink {
    pub fn begin(
        target: Target,
        schema: SchemaRef,
        format: Format,
        csv: &CsvOptions,
    ) -> Result<Self, Error> {
        if format == Format::Parquet {
            let name = target.name.clone();
            let compression = Compression::ZSTD(ZstdLevel::default());
            let properties = WriterProperties::builder()
                .set_compression(compression)
                .build();
            return match ArrowWriter::try_new(target, schema, Some(properties)) {
                Ok(writer) => Ok(Self::Parquet {
                    name,
                    writer: Box::new(writer),
                }),
                Err(source) => Err(Error::WriteParquet { name, source }),
            };
        }
        let columns = cells::columns(&schema)?;
        let csv = (format == Format::Csv).then(|| csv.clone());
        let out = BufWriter::with_capacity(WRITE_BUFFER_BYTES, target);
        let mut text = Text {
            out,
            columns,
            csv,
            line: Vec::new(),
        };
        text.header()?;
        Ok(Self::Text(text))
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        match self {
            Self::Text(text) => text.write(batch),
            Self::Parquet { name, writer } => {
                writer.write(batch).map_err(|source| Error::WriteParquet {
                    name: name.clone(),
                    source,
                })
            }
        }
    }

    pub fn finish(self) -> Result<(), Error> {
        match self {
            Self::Text(text) => {
                let name = text.out.get_ref().name.clone();
                let target = text.out.into_inner();
                let target = target.map_err(|error| Error::Write {
                    name,
                    source: error.into_error(),
                })?;
                target.close()
            }
            Self::Parquet { name, writer } => match writer.into_inner() {
                Ok(target) => target.close(),
                Err(source) => Err(Error::WriteParquet { name, source }),
            },
        }
    }
}

/// CSV with these options, else NDJSON.
pub struct Text {
    out: BufWriter<Target>,
    columns: Vec<Column>,
    csv: Option<CsvOptions>,
    line: Vec<u8>,
}

impl Text {
    fn header(&mut self) -> Result<(), Error> {
        let Some(csv) = self.csv.as_ref().filter(|csv| !csv.no_header) else {
            return Ok(());
        };
        let delimiter = csv.delimiter_byte();
        for (index, column) in self.columns.iter().enumerate() {
            if index > 0 {
                self.line.push(delimiter);
            }
            append_field(Some(&column.name), "", delimiter, &mut self.line);
        }
        self.end_line()
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let arrays = cells::plain_arrays(batch, &self.columns)?;
        for row in 0..batch.num_rows() {
            match &self.csv {
                Some(csv) => csv_row(&arrays, &self.columns, row, csv, &mut self.line),
                None => json_row(&arrays, &self.columns, row, &mut self.line),
            }
            self.end_line()?;
        }
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), Error> {
        self.line.push(b'\n');
        let written = self.out.write_all(&self.line);
        self.line.clear();
        written.map_err(|source| self.out.get_ref().failed(source))
    }
}

fn csv_row(
    arrays: &[ArrayRef],
    columns: &[Column],
    row: usize,
    csv: &CsvOptions,
    line: &mut Vec<u8>,
) {
    let delimiter = csv.delimiter_byte();
    for (index, (array, column)) in arrays.iter().zip(columns).enumerate() {
        if index > 0 {
            line.push(delimiter);
        }
        let text = cells::text_of(&cells::value_at(array, column.data_type, row));
        append_field(text.as_deref(), &csv.null, delimiter, line);
    }
}

fn json_row(arrays: &[ArrayRef], columns: &[Column], row: usize, line: &mut Vec<u8>) {
    line.push(b'{');
    for (index, (array, column)) in arrays.iter().zip(columns).enumerate() {
        if index > 0 {
            line.push(b',');
        }
        append_text(&column.name, line);
        line.push(b':');
        append_cell(&cells::value_at(array, column.data_type, row), line);
    }
    line.push(b'}');
}
