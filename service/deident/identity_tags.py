"""Which elements say who the patient is, by the way in which their values are looked for elsewhere."""

from __future__ import annotations

PATIENT_ID = 0x00100020
ISSUER = 0x00100021
BIRTH_DATE = 0x00100030
ACCESSION_NUMBER = 0x00080050
PLACER_NUMBER, FILLER_NUMBER = 0x00402016, 0x00402017
PATIENT_NAME = 0x00100010
REFERRING_PHYSICIAN = 0x00080090

NAME_TAGS = (PATIENT_NAME, 0x00100012, 0x00101001, 0x00101005, 0x00101060, 0x00102297)
"""Patient's Name, Name to Use, Other Patient Names, Birth Name, Mother's Birth Name, Responsible Person."""
STAFF_TAGS = (
    REFERRING_PHYSICIAN,
    0x0008009C,
    0x00081048,
    0x00081050,
    0x00081060,
    0x00081070,
    0x00140104,
    0x00142006,
    0x00321032,
    0x00400006,
    0x00401010,
    0x00402008,
    0x00404037,
    0x0040A067,
    0x0040A075,
    0x0040A123,
    0x0040A307,
    0x0040A352,
    0x00700084,
    0x300600A6,
    0x300E0008,
    0x40080102,
    0x4008010A,
    0x4008010C,
    0x40080114,
    0x40080119,
)
"""Physicians, operators, recipients of results, observers (also Person Name of an item), creators, reviewers, those who
entered an order or wrote a result: every other person's name of the standard."""
ADDRESS_TAGS = (0x00101040,)
PHONE_TAGS = (0x00102154,)
IDENTIFIER_TAGS = (
    PATIENT_ID,
    0x00101000,
    0x00101090,
    ACCESSION_NUMBER,
    0x00380010,
    0x00101050,
    *PHONE_TAGS,
    *ADDRESS_TAGS,
    0x00102155,
    0x00120040,
    0x00120042,
    0x00100033,
    0x00100034,
    0x00102295,
)
"""Patient ID, other IDs, record locator, Accession Number, Admission ID, insurance, phone, address, telecom, the
subject of a trial and of its readings, dates of birth and death in another calendar, an animal's registration."""
ORDER_TAGS = (
    0x00200010,
    0x00380060,
    0x00400009,
    0x00401001,
    0x00401006,
    0x00401007,
    0x00402006,
    0x00402007,
    PLACER_NUMBER,
    FILLER_NUMBER,
)
"""Study ID, Service Episode ID, Scheduled Procedure Step ID, Requested Procedure ID, numbers of placer's and filler's
order, and the retired ones."""
DATE_TAGS = (BIRTH_DATE, 0x00080012, 0x00080020, 0x00080021, 0x00080022, 0x00080023)
"""Birth, instance creation, study, series, acquisition and content date."""
IDENTITY_TAGS = frozenset({*NAME_TAGS, *STAFF_TAGS, *IDENTIFIER_TAGS, *ORDER_TAGS, *DATE_TAGS})

PERSON_CODES = frozenset({0x00401101, 0x0040A088})
"""Identification of a person as a code, whose meaning is the name (PS3.3 Table 10-1)."""
IDENTITY_SEQUENCES = PERSON_CODES | {
    0x00080096,  # Referring Physician Identification
    0x0008009D,  # Consulting Physician Identification
    0x00081049,  # Physician(s) of Record Identification
    0x00081052,  # Performing Physician Identification
    0x00081062,  # Physician(s) Reading Study Identification
    0x00081072,  # Operator Identification
    0x00081120,  # Referenced Patient
    0x00100011,  # Person Names to Use
    0x00100026,  # Source Patient Group Identification
    0x00100027,  # Group of Patients Identification
    0x00101002,  # Other Patient IDs
    0x00102294,  # Breed Registration
    0x00400270,  # Scheduled Step Attributes
    0x00400275,  # Request Attributes
    0x0040A073,  # Verifying Observer
    0x0040A078,  # Author Observer
    0x0040A07A,  # Participant
    0x0040A370,  # Referenced Request
    0x04000550,  # Modified Attributes
    0x04000561,  # Original Attributes
}
"""Sequences whose items say of this patient, this order or these persons what the top of a header says."""
